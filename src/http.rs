//! HTTP: bytes become valid requests here, failures become status codes here.
//!
//! Imports go one way: `server` → `endpoint` ← `routes`; `endpoint` → `middleware`, `openapi`; `routes` → `extract`,
//! `dto`; all of them → `limits`, `error`. Not for: deciding anything (`auth`, `service`) or touching keys.

mod allowed_hosts;
mod app;
mod dto;
mod endpoint;
mod error;
mod extract;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod limits;
mod middleware;
mod openapi;
mod response;
mod routes;
mod server;
mod trusted_proxies;

use std::sync::{Arc, LazyLock};

use axum::body::Bytes;

use crate::metrics::Metrics;

use endpoint::Endpoint;
use limits::rate_limit::RateLimits;
use routes::{
    access_tokens, audit, auth, docs, freeze, health, keys, lifecycle, maintenance, policy, schedule, signing,
};

pub use allowed_hosts::AllowedHosts;
pub use app::{App, MAX_BODY_BYTES, ReloadableLimits};
pub use endpoint::ApiRouter;
pub use error::status;
pub use limits::admission::AdmissionSettings;
pub use limits::connection_limit::NetworkQuota;
pub use limits::rate_limit::RateSettings;
pub use middleware::request::LOGIN;
pub use server::{ClientAuth, Limits, Listener, Tls, TlsError, TlsFiles, serve};
pub use trusted_proxies::TrustedProxies;

/// Every endpoint of the client listener and the local socket.
fn endpoints() -> impl Iterator<Item = Endpoint> {
    [
        keys::endpoints(),
        lifecycle::endpoints(),
        schedule::endpoints(),
        signing::endpoints(),
        auth::endpoints(),
        audit::endpoints(),
        access_tokens::endpoints(),
        policy::endpoints(),
        maintenance::endpoints(),
        freeze::endpoints(),
        health::endpoints(),
        docs::endpoints(&DOCUMENT),
    ]
    .into_iter()
    .flatten()
}

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| openapi::document(endpoints()).to_string().into());

/// The calls that clients have.
pub fn public_router(app: &App) -> ApiRouter {
    ApiRouter::new(endpoints().filter(|endpoint| !endpoint.is_local()), app)
}

/// The calls that the administrator of this host has: those of clients, and those of the local socket.
pub fn local_router(app: &App) -> ApiRouter {
    ApiRouter::new(endpoints(), app)
}

/// The calls of supervisors and monitoring, on a listener that client floods do not reach. A proxy on this machine
/// shares its address with them, so no rate limit applies.
pub fn health_router(app: &App, metrics: Metrics) -> ApiRouter {
    let rates = Arc::new(RateLimits::new(RateSettings::default()));
    let proxies = Arc::default();
    let app = App { rates, proxies, shows_load: true, ..app.clone() };
    ApiRouter::new(health::endpoints().into_iter().chain([health::metrics_endpoint(metrics)]), &app)
}
