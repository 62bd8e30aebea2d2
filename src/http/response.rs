//! JSON responses: status, content type, no caching. Not for: the bodies themselves (`dto`).

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;

/// A response with a JSON body.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    // Our own types with text keys: serialising them cannot fail.
    json_bytes(status, serde_json::to_vec(body).unwrap_or_default().into())
}

/// A response with JSON that is serialised already.
pub(crate) fn json_bytes(status: StatusCode, json: Bytes) -> Response {
    let mut response = Response::new(Body::from(json));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
