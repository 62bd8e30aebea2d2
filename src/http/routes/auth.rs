//! `/v1/auth/…`: challenge, verify, revoke, and the object to sign for a request of one's own.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json as object};
use utoipa::ToSchema;

use crate::auth::{Caller, LONGEST_LIFE, MAX_PATH_BYTES, RequestToSign, Scope, body_hash};
use crate::http::app::App;
use crate::http::dto::key::hex0x;
use crate::http::dto::schema;
use crate::http::extract::authenticated::Call;
use crate::http::extract::object::{Members, invalid};
use crate::http::extract::query::Query;
use crate::http::extract::values;
use crate::http::response::json;
use crate::service::{Answer, AskChallenge, Context, Failure};

#[derive(Serialize, ToSchema)]
#[schema(as = Challenge)]
pub(crate) struct ChallengeBody {
    challenge_id: String,
    #[schema(value_type = schema::Hex32)]
    nonce: String,
    /// EIP-4361.
    message: String,
    /// EIP-712, for eth_signTypedData_v4.
    #[schema(value_type = Object)]
    typed_data: Value,
    #[schema(value_type = Vec<schema::ScopeText>)]
    scopes: Vec<&'static str>,
    ttl_seconds: u32,
    #[schema(value_type = schema::TimeText)]
    expires_at: String,
    expires_at_unix: i64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
pub(crate) struct TokenBody<'a> {
    token: &'a str,
    token_type: &'static str,
    #[schema(value_type = schema::Address)]
    eoa: String,
    #[schema(value_type = Vec<schema::ScopeText>)]
    scopes: Vec<&'static str>,
    #[schema(value_type = schema::TimeText)]
    expires_at: String,
    expires_at_unix: i64,
}

#[utoipa::path(
    post, path = "/v1/auth/challenge", operation_id = "ask_challenge", tag = "Authentication",
    summary = "What to sign to prove that one holds an EOA",
    request_body = schema::AskChallengeBody,
    responses((status = 200, description = "To be signed, and answered by /v1/auth/verify", body = ChallengeBody), (status = 403)),
)]
/// `POST /v1/auth/challenge`: for everybody; a signed request may ask for more.
pub(crate) async fn challenge(
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
        eoa: members.required("eoa", values::eoa)?,
        scopes: members.optional("scopes", values::scopes)?,
        life: members.optional("ttl_seconds", values::number)?,
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
#[utoipa::path(
    post, path = "/v1/auth/verify", operation_id = "answer_challenge", tag = "Authentication",
    summary = "A token for whoever signed the challenge, once",
    request_body = schema::AnswerChallengeBody,
    responses((status = 200, description = "A bearer token", body = TokenBody<'static>), (status = 401), (status = 403)),
)]
pub(crate) async fn verify(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    request: Request,
) -> Result<Response, Failure> {
    let mut members = Members::read(request, app.body_timeout).await?;
    let answer = Answer {
        challenge_id: members.required("challenge_id", values::text)?,
        signature: members.required("signature", values::hex_bytes)?,
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
#[utoipa::path(
    post, path = "/v1/auth/revoke", operation_id = "revoke_token", tag = "Authentication",
    summary = "Revoke the token that the call is made with",
    request_body = schema::Empty,
    responses((status = 200, description = "It works no more", body = schema::Revoked)),
    security(("token" = [])),
)]
pub(crate) async fn revoke(call: Call, request: Request) -> Result<Response, Failure> {
    call.parse("auth.revoke", request, |_| Ok(())).await?;
    call.service().revoke_own_token(call.context().clone()).await?;
    Ok(json(StatusCode::OK, &object!({"revoked": true})))
}

/// `GET /v1/auth/typed-data?method=…&path=…&body_hash=…`
#[utoipa::path(
    get, path = "/v1/auth/typed-data", operation_id = "typed_data", tag = "Authentication",
    summary = "What to sign for one request of one's own, instead of a token",
    params(
        ("method" = Option<schema::Method>, Query, description = "POST if not said"),
        ("path" = String, Query, pattern = "^/[!-~]{0,1000}$", description = "With its query"),
        ("body_hash" = Option<schema::Hex32Text>, Query, description = "keccak256 of the body; of no bytes if not said"),
    ),
    responses((status = 200, description = "An EIP-712 object, and the header to send", body = schema::ToSign)),
)]
pub(crate) async fn typed_data(State(app): State<App>, request: Request) -> Result<Response, Failure> {
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
        Some(text) => values::bytes(&text).map_err(|failure| failure.at("body_hash"))?,
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
