//! `/v1/auth/…`: challenge, verify, revoke, and the object to sign for a request of one's own.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json as object};

use super::answer::{hex0x, json};
use super::body::{Members, invalid};
use super::call::Call;
use super::query::Query;
use super::{App, form, tokens};
use crate::auth::{Caller, LONGEST_LIFE, MAX_PATH_BYTES, RequestToSign, Scope, body_hash};
use crate::operation::{Answer, AskChallenge, Context, Failure};

#[derive(Serialize)]
struct ChallengeBody {
    challenge_id: String,
    nonce: String,
    message: String,
    typed_data: Value,
    scopes: Vec<&'static str>,
    ttl_seconds: u32,
    expires_at: String,
    expires_at_unix: i64,
}

#[derive(Serialize)]
struct TokenBody<'a> {
    token: &'a str,
    token_type: &'static str,
    eoa: String,
    scopes: Vec<&'static str>,
    expires_at: String,
    expires_at_unix: i64,
}

/// `POST /v1/auth/challenge`: for everybody; a signed request may ask for more.
pub(super) async fn challenge(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    caller: Option<Extension<Caller>>,
    request: Request,
) -> Result<Response, Failure> {
    let context = match caller {
        Some(Extension(caller)) => context.recognised(caller),
        None => context,
    };
    let mut members = Members::read(request, app.body_timeout).await?;
    let wish = AskChallenge {
        eoa: members.required("eoa", form::eoa)?,
        scopes: members.optional("scopes", tokens::scopes)?,
        life: members.optional("ttl_seconds", form::number)?,
    };
    members.finish()?;
    let made = app.service.challenge(&context, wish)?;
    let expires_at = made.challenge.expires_at();
    let body = ChallengeBody {
        challenge_id: made.id,
        nonce: hex0x(&made.challenge.nonce),
        message: made.message,
        typed_data: made.typed_data,
        scopes: made.challenge.scopes.iter().map(Scope::as_str).collect(),
        ttl_seconds: made.challenge.life,
        expires_at: expires_at.to_string(),
        expires_at_unix: expires_at.as_second(),
    };
    Ok(json(StatusCode::OK, &body))
}

/// `POST /v1/auth/verify`
pub(super) async fn verify(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    request: Request,
) -> Result<Response, Failure> {
    let mut members = Members::read(request, app.body_timeout).await?;
    let answer = Answer {
        challenge_id: members.required("challenge_id", form::text)?,
        signature: members.required("signature", form::hex_bytes)?,
    };
    members.finish()?;
    let issued = app.service.log_in(context, answer).await?;
    let body = TokenBody {
        token: issued.token.expose(),
        token_type: "Bearer",
        eoa: issued.record.subject.to_string(),
        scopes: issued.record.scopes.iter().map(Scope::as_str).collect(),
        expires_at: issued.record.expires_at.to_string(),
        expires_at_unix: issued.record.expires_at.as_second(),
    };
    Ok(json(StatusCode::OK, &body))
}

/// `POST /v1/auth/revoke`
pub(super) async fn revoke(call: Call, request: Request) -> Result<Response, Failure> {
    call.parse("auth.revoke", request, |_| Ok(())).await?;
    call.service().revoke_own_token(call.context().clone()).await?;
    Ok(json(StatusCode::OK, &object!({"revoked": true})))
}

/// `GET /v1/auth/typed-data?method=…&path=…&body_hash=…`
pub(super) async fn typed_data(State(app): State<App>, request: Request) -> Result<Response, Failure> {
    let mut query = Query::of(&request)?;
    let method = query.text("method").unwrap_or_else(|| "POST".to_owned());
    let path = query.text("path").unwrap_or_default();
    let hash = query.text("body_hash");
    query.finish()?;
    if !matches!(method.as_str(), "GET" | "POST") {
        return Err(invalid("a method is GET or POST").at("method"));
    }
    if !path.starts_with('/') || path.len() > MAX_PATH_BYTES || !path.bytes().all(|b| b.is_ascii_graphic()) {
        let sentence =
            format!("a path begins with / and has at most {MAX_PATH_BYTES} visible ASCII characters");
        return Err(invalid(sentence).at("path"));
    }
    let body_hash = match hash {
        Some(text) => form::bytes(&text).map_err(|failure| failure.at("body_hash"))?,
        None => body_hash(b""),
    };
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(Failure::internal)?;
    let issued = u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default();
    let expires = issued.saturating_add(LONGEST_LIFE);
    let audience = app.service.audience()?;
    let request = RequestToSign { audience, method: &method, path: &path, body_hash, issued, expires, nonce };
    let nonce = hex0x(&nonce);
    let body = object!({
        "typed_data": request.typed_data(),
        "issued": issued,
        "expires": expires,
        "nonce": nonce,
        "authorization": format!("EIP712 operator=<address>,issued={issued},expires={expires},nonce={nonce},sig=<signature>"),
    });
    Ok(json(StatusCode::OK, &body))
}
