//! `/v1/auth/…`: login challenge, its exchange for an access token, revocation, and what a signed request signs.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::auth::{Caller, LONGEST_LIFE, RequestToSign, body_hash};
use crate::http::app::App;
use crate::http::dto::invalid_value::invalid;
use crate::http::dto::list::List;
use crate::http::dto::values::{
    Address, Bytes32, Hex32, MethodName, RequestPath, ScopeName, SignatureBytes, Time, TtlSeconds, hex0x,
};
use crate::http::endpoint::Endpoint;
use crate::http::error;
use crate::http::extract::authenticated::AuthenticatedRequest;
use crate::http::extract::body;
use crate::http::extract::query::Query;
use crate::http::limits::admission::Ticket;
use crate::http::openapi::description::{Description, Tag};
use crate::http::response::json;
use crate::service::operation::{AUTH_CHALLENGE, AUTH_REVOKE, AUTH_TYPED_DATA, AUTH_VERIFY};
use crate::service::{Context, LoginResponse, RequestChallenge, ServiceError};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    let described = |summary| Description::new(Tag::Authentication, summary);
    vec![
        Endpoint::post(&AUTH_CHALLENGE, "/v1/auth/challenge", challenge).with_optional_caller().describe(
            described("Request a login challenge for an EOA")
                .body::<RequestChallengeBody>()
                .returns::<Challenge>(200, "Sign one of its forms and send the signature to /v1/auth/verify.")
                .refuses(&[403]),
        ),
        Endpoint::post(&AUTH_VERIFY, "/v1/auth/verify", verify).describe(
            described("Exchange a signed challenge for an access token (single use)")
                .body::<VerifyChallengeBody>()
                .returns::<AccessToken<'_>>(200, "An access token.")
                .refuses(&[401, 403, 409]),
        ),
        Endpoint::post(&AUTH_REVOKE, "/v1/auth/revoke", revoke).describe(
            described("Revoke the access token that the request carries")
                .body::<Empty>()
                .returns::<Revoked>(200, "The access token is no longer valid."),
        ),
        Endpoint::get(&AUTH_TYPED_DATA, "/v1/auth/typed-data", typed_data).describe(
            described("Show what to sign to send one request without an access token")
                .optional_query::<MethodName>("method", "POST if absent.")
                .query::<RequestPath>("path", "With its query.")
                .optional_query::<Hex32>("body_hash", "keccak256 of the body; of no bytes if absent.")
                .returns::<TypedData>(200, "An EIP-712 object, and the header to send.")
                .refuses(&[403]),
        ),
    ]
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub(crate) struct RequestChallengeBody {
    eoa: Address,
    /// At least one; the scopes for reading, creating and signing if absent.
    #[schema(value_type = Option<Vec<ScopeName>>, min_items = 1, max_items = 64)]
    scopes: Option<List<ScopeName>>,
    /// 900 if absent. The service has a maximum, one hour unless configured.
    ttl_seconds: Option<TtlSeconds>,
}

impl From<RequestChallengeBody> for RequestChallenge {
    fn from(body: RequestChallengeBody) -> Self {
        let RequestChallengeBody { eoa: Address(eoa), scopes, ttl_seconds } = body;
        let scopes = scopes.map(|List(scopes)| scopes.into_iter().map(|ScopeName(scope)| scope).collect());
        Self { eoa, scopes, life: ttl_seconds.map(|TtlSeconds(seconds)| seconds) }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub(crate) struct VerifyChallengeBody {
    challenge_id: String,
    /// Over `message` by EIP-191 or over `typed_data` by EIP-712.
    signature: SignatureBytes,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
struct Empty {}

#[derive(Serialize, ToSchema)]
struct Challenge {
    challenge_id: String,
    /// The installation that the login is for; all forms of the challenge name it.
    installation: String,
    nonce: Bytes32,
    /// EIP-4361.
    message: String,
    /// EIP-712, for eth_signTypedData_v4.
    #[schema(value_type = Object)]
    typed_data: Value,
    scopes: Vec<ScopeName>,
    ttl_seconds: u32,
    expires_at: Time,
    expires_at_unix: i64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AccessToken)]
struct AccessToken<'a> {
    access_token: &'a str,
    token_type: &'static str,
    eoa: String,
    scopes: Vec<ScopeName>,
    expires_at: Time,
    expires_at_unix: i64,
}

#[derive(Serialize, ToSchema)]
struct Revoked {
    revoked: bool,
}

/// What to sign for one request, and the header that carries the signature.
#[derive(Serialize, ToSchema)]
struct TypedData {
    #[schema(value_type = Object)]
    typed_data: Value,
    issued: u64,
    expires: u64,
    nonce: Bytes32,
    authorization: String,
}

/// Open to every client; a signed request may ask for more.
async fn challenge(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    Extension(ticket): Extension<Arc<Ticket>>,
    caller: Option<Extension<Caller>>,
    request: Request,
) -> Result<Response, ServiceError> {
    let context = match caller {
        Some(Extension(caller)) => context.recognised(caller),
        None => context,
    };
    let body: RequestChallengeBody = body::read(request, &app).await?;
    ticket.admit(&context).await?;
    let made = app.services.logins.challenge(&context, body.into())?;
    let expires_at = made.challenge.expires_at();
    let body = Challenge {
        challenge_id: made.id,
        installation: made.installation.to_string(),
        nonce: Bytes32(made.challenge.nonce),
        message: made.message,
        typed_data: made.typed_data,
        scopes: made.challenge.scopes.iter().map(ScopeName).collect(),
        ttl_seconds: made.challenge.life,
        expires_at: Time(expires_at),
        expires_at_unix: expires_at.as_second(),
    };
    Ok(json(StatusCode::OK, &body))
}

async fn verify(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    Extension(ticket): Extension<Arc<Ticket>>,
    request: Request,
) -> Result<Response, ServiceError> {
    let VerifyChallengeBody { challenge_id, signature: SignatureBytes(signature) } =
        body::read(request, &app).await?;
    ticket.admit(&context).await?;
    let logins = &app.services.logins;
    let claimed = logins.claimed_eoa(&challenge_id);
    let from = context.address().map(|address| address.ip());
    if let Some(from) = from {
        app.rates.check_not_locked_out(claimed, from).map_err(ServiceError::unrecorded)?;
    }
    let logged_in = logins.log_in(context, LoginResponse { challenge_id, signature }).await;
    let issued = logged_in.map_err(|failure| {
        let refused = from.filter(|_| error::status(failure.code()) == StatusCode::UNAUTHORIZED);
        let limited = refused.and_then(|from| app.rates.record_auth_failure(claimed, from).err());
        limited.map_or(failure, ServiceError::unrecorded)
    })?;
    let body = AccessToken {
        access_token: issued.token.expose(),
        token_type: "Bearer",
        eoa: issued.record.subject.to_string(),
        scopes: issued.record.scopes.iter().map(ScopeName).collect(),
        expires_at: Time(issued.record.expires_at),
        expires_at_unix: issued.record.expires_at.as_second(),
    };
    Ok(json(StatusCode::OK, &body))
}

async fn revoke(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    call.parse(request, |Empty {}| Ok(())).await?;
    call.services().access_tokens.revoke_own(call.context().clone()).await?;
    Ok(json(StatusCode::OK, &Revoked { revoked: true }))
}

async fn typed_data(State(app): State<App>, request: Request) -> Result<Response, ServiceError> {
    let mut query = Query::of(&request)?;
    let method = query.text("method")?.unwrap_or(MethodName::Post);
    let (path, hash) = (query.text("path")?, query.text("body_hash")?);
    query.finish()?;
    let RequestPath(path) = path.ok_or_else(|| invalid("missing query parameter `path`").field("path"))?;
    let body_hash = hash.map_or_else(|| body_hash(b""), |Hex32(hash)| hash);
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(ServiceError::internal)?;
    let issued = u64::try_from(app.services.clock().latest().as_second()).unwrap_or_default();
    let expires = issued.saturating_add(LONGEST_LIFE);
    let audience = app.services.logins.audience()?;
    let request =
        RequestToSign { audience, method: method.as_str(), path: &path, body_hash, issued, expires, nonce };
    let shown = hex0x(&nonce);
    let authorization =
        format!("EIP712 operator=<address>,issued={issued},expires={expires},nonce={shown},sig=<signature>");
    let nonce = Bytes32(nonce);
    let body = TypedData { typed_data: request.typed_data(), issued, expires, nonce, authorization };
    Ok(json(StatusCode::OK, &body))
}
