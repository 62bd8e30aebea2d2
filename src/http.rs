//! HTTP: api.md, and nothing else. Bytes become valid requests here, failures become status codes here.
//!
//! Not for: deciding anything (`auth`, `operation`) or touching keys. The same router serves the TCP
//! listener and, with the token calls added, the machine's own operator on the socket in the data directory.

mod answer;
mod audit;
mod body;
mod call;
mod error;
mod form;
mod health;
mod json;
mod keys;
mod lifecycle;
mod listener;
mod schedule;
mod signing;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use crate::operation::{Asked, Code, Context, Failure, Peer, Service};
use crate::request::RequestId;

pub use listener::{Limits, Listener, serve};

/// The largest body that is read, bytes (api.md, Rules).
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// What every handler gets.
#[derive(Clone, Debug)]
pub struct App {
    service: Arc<Service>,
    body_timeout: Duration,
}

impl App {
    /// The application over a service; bodies must arrive within `body_timeout`.
    pub const fn new(service: Arc<Service>, body_timeout: Duration) -> Self {
        Self { service, body_timeout }
    }
}

/// The calls that clients have.
pub fn public_router(app: App) -> Router {
    finished(public_routes(), app)
}

/// The calls that the machine's own operator has: all of the clients', and tokens.
pub fn local_router(app: App) -> Router {
    let routes = public_routes()
        .route("/local/tokens", get(tokens::list).post(tokens::issue))
        .route("/local/tokens/revoke", post(tokens::revoke))
        .route("/local/keys", get(keys::list_all));
    finished(routes, app)
}

fn public_routes() -> Router<App> {
    Router::new()
        .route("/v1/keys", post(keys::create))
        .route("/v1/keys/rotate", post(keys::rotate))
        .route("/v1/keys/activate", post(lifecycle::activate))
        .route("/v1/keys/retire", post(lifecycle::retire))
        .route("/v1/keys/disable", post(lifecycle::disable))
        .route("/v1/keys/enable", post(lifecycle::enable))
        .route("/v1/keys/destroy", post(lifecycle::destroy))
        .route("/v1/keys/restore", post(lifecycle::restore))
        .route("/v1/keys/schedule", get(schedule::show).post(schedule::set))
        .route("/v1/events", get(schedule::events))
        .route("/v1/keys/{eoa}", get(keys::list))
        .route("/v1/keys/{eoa}/{name}", get(keys::show))
        .route("/v1/scalar_mul", post(signing::scalar_mul))
        .route("/v1/sign/digest", post(signing::digest))
        .route("/v1/sign/registration", post(signing::registration))
        .route("/v1/sign/certificate", post(signing::certificate))
        .route("/v1/audit", get(audit::records))
        .route("/v1/audit/checkpoint", get(audit::checkpoint))
        .route("/v1/audit/proof", get(audit::proof))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/version", get(health::version))
}

fn finished(routes: Router<App>, app: App) -> Router {
    routes
        .fallback(async || Failure::new(Code::NotFound, "there is no such path"))
        .method_not_allowed_fallback(async || wrong_method())
        .layer(middleware::from_fn_with_state(app.clone(), each_request))
        .with_state(app)
}

fn wrong_method() -> Failure {
    Failure::new(Code::MethodNotAllowed, "this path does not take this method")
}

/// When the answer must be out, as the operations know it.
#[derive(Clone, Copy, Debug)]
struct Deadline(std::time::Instant);

/// Runs each request to its end in a task of its own: a client that hangs up or a deadline that passes
/// cannot suppress its record, and a panic becomes an answer.
async fn each_request(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let deadline = Instant::now() + app.service.deadline();
    let peer = request.extensions().get::<Peer>().copied();
    // An id of zeros is still an answer with an id, on a machine without randomness.
    let id = RequestId::random().unwrap_or(RequestId::new([0; 16]));
    let Some(peer) = peer else {
        return error::answer(&Failure::internal("a request without a peer"), id);
    };
    let context = Context::anonymous(id, peer);
    let operation = operation_of(&request);
    let method_known = matches!(*request.method(), Method::GET | Method::POST);
    let span = tracing::info_span!("request", %id, method = %request.method(), path = request.uri().path());
    request.extensions_mut().insert(context.clone());
    request.extensions_mut().insert(Deadline(deadline.into_std()));

    let response = if method_known {
        let task = tokio::spawn(next.run(request).instrument(span.clone()));
        match timeout_at(deadline, task).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(panic)) => Err(Failure::internal(panic)),
            // The operation goes on and leaves its own record.
            Err(_) => return error::answer(&Failure::too_late(), id),
        }
    } else {
        Err(wrong_method())
    };
    span.in_scope(|| match response.map(error::failure_in) {
        Ok(Ok(response)) => response,
        Ok(Err(failure)) | Err(failure) => {
            let failure = match operation {
                Some(operation) => app.service.refuse(operation, &context, Asked::default(), failure),
                None => failure,
            };
            error::answer(&failure, id)
        }
    })
}

/// The name under which the audit log knows what this request asks for.
fn operation_of(request: &Request) -> Option<&'static str> {
    let path = request.extensions().get::<MatchedPath>()?;
    match (request.method(), path.as_str()) {
        (&Method::POST, "/v1/keys") => Some("keys.create"),
        (&Method::POST, "/v1/keys/rotate") => Some("keys.rotate"),
        (&Method::POST, "/v1/keys/activate") => Some("keys.activate"),
        (&Method::POST, "/v1/keys/retire") => Some("keys.retire"),
        (&Method::POST, "/v1/keys/disable") => Some("keys.disable"),
        (&Method::POST, "/v1/keys/enable") => Some("keys.enable"),
        (&Method::POST, "/v1/keys/destroy") => Some("keys.destroy"),
        (&Method::POST, "/v1/keys/restore") => Some("keys.restore"),
        (&Method::POST, "/v1/keys/schedule") => Some("keys.schedule"),
        (&Method::GET, "/v1/keys/schedule") => Some("keys.schedule_read"),
        (&Method::GET, "/v1/events") => Some("events.read"),
        (&Method::GET, "/v1/keys/{eoa}") => Some("keys.list"),
        (&Method::GET, "/v1/keys/{eoa}/{name}") => Some("keys.show"),
        (&Method::POST, "/v1/scalar_mul") => Some("scalar_mul"),
        (&Method::POST, "/v1/sign/digest") => Some("sign.digest"),
        (&Method::POST, "/v1/sign/registration") => Some("sign.registration"),
        (&Method::POST, "/v1/sign/certificate") => Some("sign.certificate"),
        (&Method::GET, "/v1/audit") => Some("audit.read"),
        (&Method::GET, "/local/keys") => Some("keys.list_all"),
        (&Method::GET, "/local/tokens") => Some("token.list"),
        (&Method::POST, "/local/tokens") => Some("token.issue"),
        (&Method::POST, "/local/tokens/revoke") => Some("token.revoke"),
        _ => None,
    }
}
