//! `/local/tokens…`: on the socket in the data directory only, for `avs-kms token`.

use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;

use super::answer::json;
use super::body::invalid;
use super::call::Call;
use super::form;
use crate::auth::{Fingerprint, FingerprintError, Scope, Scopes, Subject, TokenRecord};
use crate::operation::{Code, Failure, IssueToken, RevokeToken};

#[derive(Serialize)]
struct TokenBody {
    id: String,
    eoa: String,
    scopes: Vec<&'static str>,
    created_at: String,
    expires_at: String,
    expires_at_unix: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_certificate: Option<String>,
}

#[derive(Serialize)]
struct IssuedBody<'a> {
    token: &'a str,
    token_type: &'static str,
    #[serde(flatten)]
    record: TokenBody,
}

#[derive(Serialize)]
struct ListBody {
    tokens: Vec<TokenBody>,
}

impl From<&TokenRecord> for TokenBody {
    fn from(record: &TokenRecord) -> Self {
        Self {
            id: record.id.to_string(),
            eoa: record.subject.to_string(),
            scopes: record.scopes.iter().map(Scope::as_str).collect(),
            created_at: record.created_at.to_string(),
            expires_at: record.expires_at.to_string(),
            expires_at_unix: record.expires_at.as_second(),
            revoked_at: record.revoked_at.map(|time| time.to_string()),
            client_certificate: record.client_certificate.map(|certificate| certificate.to_string()),
        }
    }
}

/// `POST /local/tokens`
pub(super) async fn issue(call: Call, request: Request) -> Result<Response, Failure> {
    let wish = call
        .parse("token.issue", request, |members| {
            Ok(IssueToken {
                subject: members.required("eoa", subject)?,
                scopes: members.required("scopes", scopes)?,
                life: members.required("ttl_seconds", seconds)?,
                client_certificate: members.optional("client_certificate", fingerprint)?,
            })
        })
        .await?;
    let issued = call.service().issue_token(call.context().clone(), wish).await?;
    let record = TokenBody::from(&issued.record);
    Ok(json(StatusCode::CREATED, &IssuedBody { token: issued.token.expose(), token_type: "Bearer", record }))
}

/// `GET /local/tokens`
pub(super) async fn list(call: Call) -> Result<Response, Failure> {
    let records = call.service().list_tokens(call.context())?;
    Ok(json(StatusCode::OK, &ListBody { tokens: records.iter().map(TokenBody::from).collect() }))
}

/// `POST /local/tokens/revoke`
pub(super) async fn revoke(call: Call, request: Request) -> Result<Response, Failure> {
    let wish = call
        .parse("token.revoke", request, |members| {
            let id = members
                .required("id", |value| form::text(value)?.parse().map_err(|error: &str| invalid(error)))?;
            Ok(RevokeToken { id })
        })
        .await?;
    let record = call.service().revoke_token(call.context().clone(), wish).await?;
    Ok(json(StatusCode::OK, &TokenBody::from(&record)))
}

fn subject(value: Value) -> Result<Subject, Failure> {
    let error = |error: crate::key::AddressError| Failure::new(Code::InvalidAddress, error.to_string());
    form::text(value)?.parse().map_err(error)
}

fn scopes(value: Value) -> Result<Scopes, Failure> {
    let Value::Array(words) = value else { return Err(invalid("scopes are a list of texts")) };
    let scope = |word| {
        form::text(word)?.parse().map_err(|error: crate::auth::UnknownScope| invalid(error.to_string()))
    };
    words.into_iter().map(scope).collect()
}

fn fingerprint(value: Value) -> Result<Fingerprint, Failure> {
    form::text(value)?.parse().map_err(|error: FingerprintError| invalid(error.to_string()))
}

fn seconds(value: Value) -> Result<Duration, Failure> {
    value
        .as_u64()
        .map(Duration::from_secs)
        .ok_or_else(|| invalid("a whole number of seconds is expected here"))
}
