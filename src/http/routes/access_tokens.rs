//! `/local/tokens…`: on the socket in the data directory only, for `avs-kms token`.

use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;

use crate::auth::{Fingerprint, FingerprintError, Scope, Subject, TokenRecord};
use crate::http::extract::authenticated::Call;
use crate::http::extract::object::invalid;
use crate::http::extract::values;
use crate::http::response::json;
use crate::service::{Code, Failure, IssueToken, RevokeToken};

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
    origin: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<String>,
    networks: Vec<String>,
    keys: Vec<String>,
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
            origin: if record.login { "login" } else { "command line" },
            last_used_at: record.last_used_at.map(|time| time.to_string()),
            networks: record.networks.iter().map(ToString::to_string).collect(),
            keys: record.keys.iter().map(ToString::to_string).collect(),
            client_certificate: record.client_certificate.map(|certificate| certificate.to_string()),
        }
    }
}

/// `POST /local/tokens`
pub(crate) async fn issue(call: Call, request: Request) -> Result<Response, Failure> {
    let wish = call
        .parse("token.issue", request, |members| {
            Ok(IssueToken {
                subject: members.required("eoa", subject)?,
                scopes: members.required("scopes", values::scopes)?,
                life: members.required("ttl_seconds", seconds)?,
                networks: members.optional("networks", values::networks)?,
                keys: members
                    .optional("keys", |value| values::texts(value, values::key_name))?
                    .unwrap_or_default(),
                client_certificate: members.optional("client_certificate", fingerprint)?,
            })
        })
        .await?;
    let issued = call.service().issue_token(call.context().clone(), wish).await?;
    let record = TokenBody::from(&issued.record);
    Ok(json(StatusCode::CREATED, &IssuedBody { token: issued.token.expose(), token_type: "Bearer", record }))
}

/// `GET /local/tokens`
pub(crate) async fn list(call: Call) -> Result<Response, Failure> {
    let records = call.service().list_tokens(call.context())?;
    Ok(json(StatusCode::OK, &ListBody { tokens: records.iter().map(TokenBody::from).collect() }))
}

/// `POST /local/tokens/revoke`
pub(crate) async fn revoke(call: Call, request: Request) -> Result<Response, Failure> {
    let wish = call
        .parse("token.revoke", request, |members| {
            let id = |value| values::text(value)?.parse().map_err(|error: &str| invalid(error));
            match (members.optional("id", id)?, members.optional("eoa", subject)?) {
                (Some(id), None) => Ok(RevokeToken::One(id)),
                (None, Some(subject)) => Ok(RevokeToken::AllOf(subject)),
                _ => Err(invalid("name the token by its id, or all tokens of an EOA")),
            }
        })
        .await?;
    let records = call.service().revoke_token(call.context().clone(), wish).await?;
    Ok(json(StatusCode::OK, &ListBody { tokens: records.iter().map(TokenBody::from).collect() }))
}

fn subject(value: Value) -> Result<Subject, Failure> {
    let error = |error: crate::key::AddressError| Failure::new(Code::InvalidAddress, error.to_string());
    values::text(value)?.parse().map_err(error)
}

fn fingerprint(value: Value) -> Result<Fingerprint, Failure> {
    values::text(value)?.parse().map_err(|error: FingerprintError| invalid(error.to_string()))
}

fn seconds(value: Value) -> Result<Duration, Failure> {
    value
        .as_u64()
        .map(Duration::from_secs)
        .ok_or_else(|| invalid("a whole number of seconds is expected here"))
}
