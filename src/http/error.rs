//! Error responses: the one table from codes to status codes, and the one form of a body.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::limits::log_budget::{LogBudget, Verdict};
use crate::http::response::json;
use crate::request_id::RequestId;
use crate::service::{ErrorCode, ServiceError};

/// The status code of an error code.
pub const fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::CoordinateOutOfRange
        | ErrorCode::RegistryNotFound
        | ErrorCode::InvalidAddress
        | ErrorCode::InvalidHex
        | ErrorCode::InvalidRequest
        | ErrorCode::PointAtInfinity
        | ErrorCode::PointNotOnCurve => StatusCode::BAD_REQUEST,
        ErrorCode::ChallengeExpired
        | ErrorCode::ChallengeUnknown
        | ErrorCode::SignatureMismatch
        | ErrorCode::TokenExpired
        | ErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden | ErrorCode::LoginDisabled => StatusCode::FORBIDDEN,
        ErrorCode::NotFound | ErrorCode::KeyNotFound | ErrorCode::VersionNotFound => StatusCode::NOT_FOUND,
        ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::HostNotAllowed => StatusCode::MISDIRECTED_REQUEST,
        ErrorCode::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorCode::RegistryMismatch
        | ErrorCode::KeyDestroyed
        | ErrorCode::KeyDisabled
        | ErrorCode::KeyRetired
        | ErrorCode::InvalidKeyState
        | ErrorCode::QuotaExceeded => StatusCode::CONFLICT,
        ErrorCode::AuditUnavailable
        | ErrorCode::RpcUnavailable
        | ErrorCode::Overloaded
        | ErrorCode::ServiceFrozen
        | ErrorCode::ShuttingDown
        | ErrorCode::HsmUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        ErrorCode::Internal | ErrorCode::KeyUnreadable => StatusCode::INTERNAL_SERVER_ERROR,
        ErrorCode::HsmFull => StatusCode::INSUFFICIENT_STORAGE,
    }
}

/// An error: a message for a person, a code for a program.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct ErrorBody<'a> {
    error: &'a str,
    code: &'static str,
    #[schema(pattern = "^req_[0-9a-f]{32}$")]
    request_id: String,
    /// The member or parameter that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    /// When a repetition may succeed, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl<'a> ErrorBody<'a> {
    fn new(failure: &'a ServiceError, request: RequestId) -> Self {
        Self {
            error: failure.message(),
            code: failure.code().as_str(),
            request_id: request.to_string(),
            field: failure.field_name(),
            retry_after_ms: failure.retry().map(|wait| wait.as_millis().try_into().unwrap_or(u64::MAX)),
        }
    }
}

/// The bytes of a response to what hyper refuses as a request; the connection ends after it.
pub(crate) fn raw_error_response(failure: &ServiceError, request: RequestId, status: &str) -> Vec<u8> {
    // Our own type with text keys: serialising it cannot fail.
    let body = serde_json::to_string(&ErrorBody::new(failure, request)).unwrap_or_default();
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncache-control: no-store\r\n\
         x-request-id: {request}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The error of a response, for metrics and delays.
#[derive(Clone, Copy)]
pub(crate) struct LoggedError {
    pub(crate) code: ErrorCode,
    pub(crate) retry: Option<Duration>,
}

/// A failure on its way to [`response`], which alone knows the request id.
#[derive(Clone)]
struct FailureExtension(std::sync::Arc<std::sync::Mutex<Option<ServiceError>>>);

impl IntoResponse for ServiceError {
    fn into_response(self) -> Response {
        let mut response = status(self.code()).into_response();
        let extension = FailureExtension(std::sync::Arc::new(std::sync::Mutex::new(Some(self))));
        response.extensions_mut().insert(extension);
        response
    }
}

/// Takes the failure out of a response that carries one.
pub(crate) fn failure_in(mut response: Response) -> Result<Response, ServiceError> {
    let extension = response.extensions_mut().remove::<FailureExtension>();
    let failure =
        extension.and_then(|FailureExtension(slot)| slot.lock().ok().and_then(|mut failure| failure.take()));
    failure.map_or(Ok(response), Err)
}

/// Lines about errors of clients, and about errors of the service: a flood of the first hides none of the second.
static CLIENT_ERRORS: LogBudget = LogBudget::new();
static SERVER_ERRORS: LogBudget = LogBudget::new();

/// Writes the line of a failed request, within the budget of the minute. Metrics count every one.
fn log(failure: &ServiceError, status: StatusCode) {
    let (code, is_ours) = (failure.code().as_str(), status.is_server_error());
    // Under a flood of these a line each would use the budget of the others up.
    if matches!(failure.code(), ErrorCode::Overloaded | ErrorCode::RateLimited) {
        tracing::debug!(code, "{}", failure.message());
        return;
    }
    let budget = if is_ours { &SERVER_ERRORS } else { &CLIENT_ERRORS };
    let Verdict::Write { suppressed } = budget.take(Instant::now()) else {
        tracing::debug!(code, "{}", failure.message());
        return;
    };
    if suppressed > 0 {
        tracing::warn!(suppressed, "refused requests of the minutes before have no line of their own");
    }
    match failure.cause() {
        Some(cause) if is_ours => tracing::error!(code, cause, "{}", failure.message()),
        Some(cause) => tracing::info!(code, cause, "{}", failure.message()),
        None => tracing::info!(code, "{}", failure.message()),
    }
}

/// The response to a failed request; the cause goes to the log, under the same request id.
pub(crate) fn response(failure: &ServiceError, request: RequestId) -> Response {
    let status = status(failure.code());
    log(failure, status);
    let mut response = json(status, &ErrorBody::new(failure, request));
    response.extensions_mut().insert(LoggedError { code: failure.code(), retry: failure.retry() });
    if status == StatusCode::UNAUTHORIZED {
        response
            .headers_mut()
            .insert(axum::http::header::WWW_AUTHENTICATE, axum::http::HeaderValue::from_static("Bearer"));
    }
    if let Some(wait) = failure.retry() {
        let seconds = wait.as_millis().div_ceil(1_000).max(1).to_string();
        if let Ok(value) = seconds.parse() {
            response.headers_mut().insert(axum::http::header::RETRY_AFTER, value);
        }
    }
    response
}
