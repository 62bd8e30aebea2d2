//! `/local/access-tokens`: on the local socket only, for `avs-kms access-token`.

use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::auth;
use crate::http::dto::cursor::AccessTokenCursor;
use crate::http::dto::invalid_value::invalid;
use crate::http::dto::list::{List, NetworkList};
use crate::http::dto::page::Page;
use crate::http::dto::values::{
    AccessTokenId, AddressOrAll, CertificateFingerprint, Name, ScopeName, Seconds, Time,
};
use crate::http::endpoint::Endpoint;
use crate::http::extract::authenticated::AuthenticatedRequest;
use crate::http::extract::query::Query;
use crate::http::response::json;
use crate::service::operation::{ACCESS_TOKENS_ISSUE, ACCESS_TOKENS_LIST, ACCESS_TOKENS_REVOKE};
use crate::service::{IssueAccessToken, RevokeAccessTokens, ServiceError};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get(&ACCESS_TOKENS_LIST, "/local/access-tokens", list),
        Endpoint::post(&ACCESS_TOKENS_ISSUE, "/local/access-tokens", issue),
        Endpoint::post(&ACCESS_TOKENS_REVOKE, "/local/access-tokens/revoke", revoke),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub(crate) struct IssueBody {
    eoa: AddressOrAll,
    scopes: List<ScopeName>,
    ttl_seconds: Seconds,
    networks: Option<NetworkList>,
    keys: Option<List<Name>>,
    client_certificate: Option<CertificateFingerprint>,
}

impl From<IssueBody> for IssueAccessToken {
    fn from(body: IssueBody) -> Self {
        let IssueBody {
            eoa: AddressOrAll(subject), scopes: List(scopes), ttl_seconds: Seconds(life), ..
        } = body;
        let List(keys) = body.keys.unwrap_or(List(Vec::new()));
        Self {
            subject,
            scopes: scopes.into_iter().map(|ScopeName(scope)| scope).collect(),
            life: Duration::from_secs(life),
            networks: body.networks.map(|NetworkList(networks)| networks),
            keys: keys.into_iter().map(|Name(name)| name).collect(),
            client_certificate: body.client_certificate.map(|CertificateFingerprint(it)| it),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub(crate) struct RevokeBody {
    id: Option<AccessTokenId>,
    eoa: Option<AddressOrAll>,
}

impl TryFrom<RevokeBody> for RevokeAccessTokens {
    type Error = ServiceError;

    fn try_from(body: RevokeBody) -> Result<Self, ServiceError> {
        match (body.id, body.eoa) {
            (Some(AccessTokenId(id)), None) => Ok(Self::One(id)),
            (None, Some(AddressOrAll(subject))) => Ok(Self::AllOf(subject)),
            _ => Err(invalid("name one access token by its id, or all access tokens of an EOA")),
        }
    }
}

#[derive(Serialize)]
struct AccessTokenRecord {
    id: String,
    eoa: String,
    scopes: Vec<ScopeName>,
    created_at: Time,
    expires_at: Time,
    expires_at_unix: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Time>,
    origin: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<Time>,
    networks: Vec<String>,
    keys: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_certificate: Option<String>,
}

impl From<&auth::AccessTokenRecord> for AccessTokenRecord {
    fn from(record: &auth::AccessTokenRecord) -> Self {
        Self {
            id: record.id.to_string(),
            eoa: record.subject.to_string(),
            scopes: record.scopes.iter().map(ScopeName).collect(),
            created_at: Time(record.created_at),
            expires_at: Time(record.expires_at),
            expires_at_unix: record.expires_at.as_second(),
            revoked_at: record.revoked_at.map(Time),
            origin: if record.login { "login" } else { "command line" },
            last_used_at: record.last_used_at.map(Time),
            networks: record.networks.iter().map(ToString::to_string).collect(),
            keys: record.keys.iter().map(ToString::to_string).collect(),
            client_certificate: record.client_certificate.map(|certificate| certificate.to_string()),
        }
    }
}

#[derive(Serialize)]
struct IssuedAccessToken<'a> {
    access_token: &'a str,
    token_type: &'static str,
    #[serde(flatten)]
    record: AccessTokenRecord,
}

#[derive(Serialize)]
struct AccessTokenPage {
    access_tokens: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct AccessTokenList {
    access_tokens: Vec<AccessTokenRecord>,
}

impl From<&[auth::AccessTokenRecord]> for AccessTokenList {
    fn from(records: &[auth::AccessTokenRecord]) -> Self {
        Self { access_tokens: records.iter().map(AccessTokenRecord::from).collect() }
    }
}

async fn issue(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    let issue = call.parse(request, |body: IssueBody| Ok(IssueAccessToken::from(body))).await?;
    let issued = call.services().access_tokens.issue(call.context().clone(), issue).await?;
    let record = AccessTokenRecord::from(&issued.record);
    let body = IssuedAccessToken { access_token: issued.token.expose(), token_type: "Bearer", record };
    Ok(json(StatusCode::CREATED, &body))
}

async fn list(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    let read = || {
        let mut query = Query::of(&request)?;
        let after = query.text("after")?.map(|AccessTokenCursor(after)| after);
        let limit = query.limit()?;
        query.finish()?;
        Ok((after, limit))
    };
    let (after, limit) = call.checked(read())?;
    let records = call.services().access_tokens.list(call.context(), after.as_ref(), limit + 1)?;
    let page = Page::of(records, limit, |record| AccessTokenRecord::from(record))?;
    let next = page.next(|record| format!("{}/{}", record.created_at.as_second(), record.id));
    Ok(json(StatusCode::OK, &AccessTokenPage { access_tokens: page.items, next }))
}

async fn revoke(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    let revoke = call.parse(request, |body: RevokeBody| RevokeAccessTokens::try_from(body)).await?;
    let records = call.services().access_tokens.revoke(call.context().clone(), revoke).await?;
    Ok(json(StatusCode::OK, &AccessTokenList::from(&records[..])))
}
