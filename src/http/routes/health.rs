//! `/healthz`, `/readyz`, `/version`: open to everybody.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json as object;

use crate::http::app::App;
use crate::http::dto::schema;
use crate::http::response::json;
use crate::metrics::Metrics;
use crate::rotation;
use crate::service::{Code, Failure};

/// The process answers.
#[utoipa::path(
    get, path = "/healthz", operation_id = "healthz", tag = "Service",
    summary = "Whether the process answers",
    responses((status = 200, description = "It does", body = schema::Health)),
)]
pub(crate) async fn healthz() -> Response {
    json(StatusCode::OK, &object!({"status": "ok"}))
}

/// The program and its version.
#[utoipa::path(
    get, path = "/version", operation_id = "version", tag = "Service",
    summary = "The program and its version",
    responses((status = 200, description = "What it is", body = schema::Version)),
)]
pub(crate) async fn version() -> Response {
    json(StatusCode::OK, &object!({"name": "avs-kms", "version": env!("CARGO_PKG_VERSION"), "api": "v1"}))
}

/// What was counted and timed, in Prometheus' text form: the one answer that is not JSON.
pub(crate) async fn metrics(app: App, metrics: Metrics) -> Result<Response, Failure> {
    // It asks the store once for each key.
    let text = tokio::task::spawn_blocking(move || {
        app.service.show_figures();
        let keys = rotation::show_numbers(&app.service).unwrap_or_else(|failure| {
            tracing::error!(cause = failure.cause(), "the metrics of rotation cannot be read: {failure}");
            String::new()
        });
        metrics.render() + &keys
    });
    let text = text.await.map_err(Failure::internal)?;
    let form = HeaderValue::from_static("text/plain; version=0.0.4");
    Ok(([(header::CONTENT_TYPE, form)], text).into_response())
}

/// Token logged in, canary multiplied with recently, audit log writable.
#[utoipa::path(
    get, path = "/readyz", operation_id = "readyz", tag = "Service",
    summary = "Whether it can sign: token, canary, audit log",
    responses((status = 200, description = "It can", body = schema::Ready)),
)]
pub(crate) async fn readyz(State(app): State<App>) -> Result<Response, Failure> {
    let soon = Duration::from_secs(1);
    if !app.service.audit().is_writable() {
        let failure = Failure::new(Code::AuditUnavailable, "the audit log cannot be written");
        return Err(failure.retry_after(soon));
    }
    let health = app.service.custody().health();
    let ready = health.filter(|health| app.service.custody().is_ready(health));
    let Some(health) = ready else {
        return Err(Failure::new(Code::TokenUnavailable, "the token cannot be used").retry_after(soon));
    };
    let head = app.service.audit().head();
    Ok(json(
        StatusCode::OK,
        &object!({
            "status": "ready",
            "workers": health.workers,
            "queue_depth": health.queue_depth,
            "audit": {"log": head.log.to_string(), "size": head.size},
        }),
    ))
}
