//! `/healthz`, `/readyz`, `/version`, open to every client; `/metrics` on the health listener.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::app::App;
use crate::http::endpoint::Endpoint;
use crate::http::openapi::description::{Description, Tag};
use crate::http::response::json;
use crate::metrics::Metrics;
use crate::rotation;
use crate::service::operation::{HEALTH, METRICS, READY, VERSION};
use crate::service::{ErrorCode, ServiceError};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    let described = |summary| Description::new(Tag::Service, summary);
    vec![
        Endpoint::get(&HEALTH, "/healthz", healthz).describe(
            described("Check whether the process responds").returns::<Health>(200, "The process responds."),
        ),
        Endpoint::get(&READY, "/readyz", readyz).describe(
            described("Check whether the service can sign: HSM, canary, audit log")
                .returns::<Ready>(200, "The service can sign."),
        ),
        Endpoint::get(&VERSION, "/version", version)
            .describe(described("Show the program and its version").returns::<Version>(200, "The version.")),
    ]
}

/// The metrics in Prometheus' text form: the one response that is not JSON.
pub(crate) fn metrics_endpoint(metrics: Metrics) -> Endpoint {
    let scrape = async move |State(app): State<App>| render(app, metrics.clone()).await;
    Endpoint::get(&METRICS, "/metrics", scrape)
}

#[derive(Serialize, ToSchema)]
struct Health {
    status: &'static str,
}

#[derive(Serialize, ToSchema)]
struct Ready {
    status: &'static str,
    /// On the health listener only: a client could read the load from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    workers: Option<usize>,
    /// On the health listener only.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_depth: Option<usize>,
    audit: AuditHead,
}

#[derive(Serialize, ToSchema)]
struct AuditHead {
    log: String,
    size: u64,
}

#[derive(Serialize, ToSchema)]
struct Version {
    name: &'static str,
    version: &'static str,
    api: &'static str,
}

async fn healthz() -> Response {
    json(StatusCode::OK, &Health { status: "ok" })
}

async fn version() -> Response {
    let version = env!("CARGO_PKG_VERSION");
    json(StatusCode::OK, &Version { name: "avs-kms", version, api: "v1" })
}

async fn render(app: App, metrics: Metrics) -> Result<Response, ServiceError> {
    app.services.show_metrics();
    let keys = rotation::show_stats(&app.services).await.unwrap_or_else(|error| {
        tracing::error!(%error, "the metrics of rotation cannot be read");
        String::new()
    });
    let text = metrics.render() + &keys;
    let form = HeaderValue::from_static("text/plain; version=0.0.4");
    Ok(([(header::CONTENT_TYPE, form)], text).into_response())
}

/// The service is not frozen, the HSM is logged in, the canary was multiplied recently, the audit log is writable and its checkpoints are published.
async fn readyz(State(app): State<App>) -> Result<Response, ServiceError> {
    let soon = Duration::from_secs(1);
    app.services.check_not_frozen()?;
    if !app.services.log().is_writable() {
        let failure = ServiceError::new(ErrorCode::AuditUnavailable, "the audit log cannot be written");
        return Err(failure.retry_after(soon));
    }
    // Checkpoints that do not leave this host are the one thing that shows a rewritten log.
    if !app.services.log().stuck_sinks().is_empty() {
        let message = "a place that gets audit checkpoints is stuck: the service's log names it";
        return Err(ServiceError::new(ErrorCode::AuditUnavailable, message).retry_after(soon));
    }
    let health = app.services.custody().health();
    if app.services.custody().is_stopped() {
        // The PIN was refused: to ask again does not help.
        let message = "the token is stopped until an operator acts: the service's log says why";
        return Err(ServiceError::new(ErrorCode::HsmUnavailable, message));
    }
    let ready = health.filter(|health| app.services.custody().is_ready(health));
    let Some(health) = ready else {
        return Err(
            ServiceError::new(ErrorCode::HsmUnavailable, "the token cannot be used").retry_after(soon)
        );
    };
    let head = app.services.log().head();
    let body = Ready {
        status: "ready",
        workers: app.shows_load.then_some(health.workers),
        queue_depth: app.shows_load.then_some(health.queue_depth),
        audit: AuditHead { log: head.log.to_string(), size: head.size },
    };
    Ok(json(StatusCode::OK, &body))
}
