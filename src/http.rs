//! HTTP: api.md, and nothing else. Bytes become valid requests here, failures become status codes here.
//!
//! Not for: deciding anything (`auth`, `operation`) or touching keys. The same router serves the TCP
//! listener and, with the token calls added, the machine's own operator on the socket in the data directory.
//! The arrow: `server` → `middleware` → `routes` → `extract`, `dto` → `limits` → `error`.

mod app;
mod dto;
mod error;
mod extract;
#[cfg(any(test, feature = "danger-parsers"))]
pub mod fuzz;
mod limits;
mod middleware;
mod openapi;
mod response;
mod routes;
mod server;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::metrics::Metrics;
use crate::service::{Code, Failure};

use limits::rate_limit::RateLimits;
use middleware::request::{each_request, wrong_method};
use middleware::request_signature;
use routes::{access_tokens, audit, auth, health, keys, lifecycle, maintenance, policy, schedule, signing};

pub use app::{App, MAX_BODY_BYTES, ReloadableLimits};
pub use limits::admission::AdmissionSettings;
pub use limits::connection_limit::NetworkQuota;
pub use limits::rate_limit::RateSettings;
pub use server::{ClientAuth, Limits, Listener, Tls, TlsError, TlsFiles, serve};

/// The calls that clients have.
pub fn public_router(app: App) -> Router {
    finished(public_routes(&app), app)
}

/// The calls that the machine's own operator has: all of the clients', and tokens.
pub fn local_router(app: App) -> Router {
    let routes = public_routes(&app)
        .route("/local/tokens", get(access_tokens::list).post(access_tokens::issue))
        .route("/local/tokens/revoke", post(access_tokens::revoke))
        .route("/local/files", post(maintenance::note))
        .route("/local/keys/policy", post(policy::set))
        .route("/local/keys", get(keys::list_all));
    finished(routes, app)
}

/// What supervisors and monitoring ask, on a listener of its own that no flood of clients reaches: a proxy on this
/// machine shares its address with them, so no rate of clients holds here.
pub fn health_router(app: App, metrics: Metrics) -> Router {
    let rates = Arc::new(RateLimits::new(RateSettings::default()));
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
    let signed = from_fn_with_state(app.clone(), request_signature::recognise);
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
        .layer(from_fn_with_state(app.clone(), each_request))
        .with_state(app)
}
