//! HTTP: api.md, and nothing else. Bytes become valid requests here, failures become status codes here.
//!
//! Not for: deciding anything (`auth`, `operation`) or touching keys. The same router serves the TCP
//! listener and, with the token calls added, the machine's own operator on the socket in the data directory.

mod addresses;
mod answer;
#[cfg(any(test, feature = "danger-parsers"))]
pub mod attacked;
mod audit;
mod auth;
mod body;
mod call;
mod connection;
mod current;
mod error;
mod files;
mod form;
mod gate;
mod health;
mod hold;
mod json;
mod keys;
mod lifecycle;
mod listener;
mod openapi;
mod operations;
mod policy;
mod query;
mod rates;
mod room;
mod schedule;
mod signed;
mod signing;
mod stream;
mod tls;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, Span};

use crate::metrics::{self, Metrics};
use crate::operation::{Asked, Code, Context, Failure, Peer, Service};
use crate::request::RequestId;

use connection::ClientCertificate;
use gate::Gate;
use operations::operation_in;
use rates::Rates;

pub use addresses::Share;
pub use listener::{Limits, Listener, serve};
pub use rates::RateSettings;
pub use tls::{ClientAuth, Tls, TlsError, TlsFiles};

/// The largest body that is read, bytes (api.md, Rules).
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// What every handler gets.
#[derive(Clone, Debug)]
pub struct App {
    service: Arc<Service>,
    body_timeout: Duration,
    gate: Arc<Gate>,
    rates: Arc<Rates>,
}

/// How much of what the application takes on.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    /// A body must arrive within this time.
    pub body_timeout: Duration,
    /// Requests that are worked on at a time.
    pub in_flight: usize,
    /// How long others may wait for their turn.
    pub wait: Duration,
    /// How often clients may ask.
    pub rates: RateSettings,
}

impl App {
    /// The application over a service.
    pub fn new(service: Arc<Service>, admission: Admission) -> Self {
        let Admission { body_timeout, in_flight, wait, rates } = admission;
        Self {
            service,
            body_timeout,
            gate: Arc::new(Gate::new(in_flight, wait)),
            rates: Arc::new(Rates::new(rates)),
        }
    }

    /// Takes on so much from now on; the time of bodies stays as it was.
    pub fn readmit(&self, admission: Admission) {
        let Admission { body_timeout: _, in_flight, wait, rates } = admission;
        self.gate.set(in_flight, wait);
        self.rates.set(rates);
    }
}

/// The calls that clients have.
pub fn public_router(app: App) -> Router {
    finished(public_routes(&app), app)
}

/// The calls that the machine's own operator has: all of the clients', and tokens.
pub fn local_router(app: App) -> Router {
    let routes = public_routes(&app)
        .route("/local/tokens", get(tokens::list).post(tokens::issue))
        .route("/local/tokens/revoke", post(tokens::revoke))
        .route("/local/files", post(files::note))
        .route("/local/keys/policy", post(policy::set))
        .route("/local/keys", get(keys::list_all));
    finished(routes, app)
}

/// What supervisors and monitoring ask, on a listener of its own that no flood of clients reaches: a proxy on this
/// machine shares its address with them, so no rate of clients holds here.
pub fn health_router(app: App, metrics: Metrics) -> Router {
    let rates = Arc::new(Rates::new(RateSettings::default()));
    let scrape = get(async move |State(app): State<App>| health::metrics(app, metrics.clone()).await);
    finished(health_routes().route("/metrics", scrape), App { rates, ..app })
}

fn health_routes() -> Router<App> {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/version", get(health::version))
}

fn public_routes(app: &App) -> Router<App> {
    // Signatures are looked at here alone: a nonce and a durable record are for calls that have a caller.
    let signed = middleware::from_fn_with_state(app.clone(), signed::recognise);
    open_routes().merge(routes_with_a_caller().route_layer(signed))
}

fn routes_with_a_caller() -> Router<App> {
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
        .route("/v1/auth/challenge", post(auth::challenge))
        .route("/v1/auth/revoke", post(auth::revoke))
        .route("/v1/audit", get(audit::records))
}

fn open_routes() -> Router<App> {
    health_routes()
        .route("/v1/auth/verify", post(auth::verify))
        .route("/v1/auth/typed-data", get(auth::typed_data))
        .route("/v1/audit/checkpoint", get(audit::checkpoint))
        .route("/v1/audit/proof", get(audit::proof))
        .route("/openapi.json", get(openapi::document))
        .route("/docs", get(openapi::page))
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

/// Gives each request its id, which every answer carries in a header, and bounds how often an address may ask.
async fn each_request(State(app): State<App>, mut request: Request, next: Next) -> Response {
    // An id of zeros is still an answer with an id, on a machine without randomness.
    let id = RequestId::random().unwrap_or(RequestId::new([0; 16]));
    let (begun, operation) = (std::time::Instant::now(), operation_in(&request).unwrap_or("other"));
    // Who is turned away at the door costs no span.
    let mut span = Span::none();
    let peer = request.extensions().get::<Peer>().copied();
    let mut response = match peer {
        None => error::answer(&Failure::internal("a request without a peer"), id),
        Some(peer) => {
            let certificate = request.extensions_mut().remove::<ClientCertificate>();
            let certificate = certificate.map(|ClientCertificate(fingerprint)| fingerprint);
            let context = Context::anonymous(id, peer).certified(certificate);
            match admitted(&app, peer, &request) {
                Ok(()) => {
                    // The empty field is filled in when the answer is known.
                    span = tracing::info_span!(
                        "request", %id, method = %request.method(), path = request.uri().path(), operation,
                        code = tracing::field::Empty
                    );
                    answered(&app, context, request, next, &span).await
                }
                Err(failure) => error::answer(&failure, id),
            }
        }
    };
    let answered = response.extensions().get::<error::Answered>().copied();
    let code = answered.map_or("ok", |answered| answered.code.slug());
    metrics::answered(operation, code, begun);
    span.record("code", code);
    if let Ok(value) = id.to_string().parse() {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    if let Some(held) = hold::time(peer, answered) {
        tokio::time::sleep(held).await;
    }
    response
}

/// The header that names the request in every answer, beside `request_id` in the body of errors.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is refused here was not looked at, so it leaves no record.
fn admitted(app: &App, peer: Peer, request: &Request) -> Result<(), Failure> {
    let Peer::Tcp(address) = peer else { return Ok(()) };
    app.rates.request(address.ip())?;
    if proves_by_signature(request) {
        app.rates.is_trusted(address.ip())?;
        app.rates.proof(address.ip())
    } else if request.method() == Method::POST {
        app.gate.look()
    } else {
        Ok(())
    }
}

/// Whether a signature must be checked for this request: logins, and whatever is no bearer token.
fn proves_by_signature(request: &Request) -> bool {
    let credentials = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let bearer = |credentials: &[u8]| {
        credentials.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "))
    };
    let path = request.uri().path();
    // A token is revoked with itself: no signature, and a good token works whatever others did.
    let logs_in = path.starts_with("/v1/auth/") && path != "/v1/auth/revoke";
    logs_in || credentials.is_some_and(|it| !bearer(it))
}

/// Runs each request to its end in a task of its own: a client that hangs up or a deadline that passes
/// cannot suppress its record, and a panic becomes an answer.
async fn answered(app: &App, context: Context, mut request: Request, next: Next, span: &Span) -> Response {
    let deadline = Instant::now() + app.service.deadline();
    let id = context.request();
    let operation = operation_in(&request);
    let method_known = matches!(*request.method(), Method::GET | Method::POST);
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
            error::answer(&unless_too_often(app, context.peer(), failure), id)
        }
    })
}

/// Credentials that were refused count against their address; the refusal itself is on record already.
fn unless_too_often(app: &App, peer: Peer, failure: Failure) -> Failure {
    match peer {
        Peer::Tcp(address) if error::status(failure.code()) == StatusCode::UNAUTHORIZED => {
            app.rates.failure(address.ip()).err().unwrap_or(failure)
        }
        Peer::Local | Peer::Tcp(_) => failure,
    }
}
