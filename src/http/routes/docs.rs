//! `/openapi.json`, the OpenAPI document, and `/docs`, a page that shows it.

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use utoipa::ToSchema;

use crate::http::endpoint::Endpoint;
use crate::http::openapi::description::{Description, Tag};
use crate::http::response::json_bytes;
use crate::service::operation::{DOCS_OPENAPI, DOCS_PAGE};

/// The document is long and clients need no credentials for it: it is written once.
pub(crate) fn endpoints(document: &'static LazyLock<Bytes>) -> Vec<Endpoint> {
    let openapi = async || json_bytes(StatusCode::OK, LazyLock::force(document).clone());
    vec![
        Endpoint::get(&DOCS_OPENAPI, "/openapi.json", openapi).describe(
            Description::new(Tag::Service, "Show this description, OpenAPI 3.1")
                .returns::<Document>(200, "The document."),
        ),
        Endpoint::get(&DOCS_PAGE, "/docs", page).describe(
            Description::new(Tag::Service, "Show this description in a browser")
                .returns_text("An HTML page.", "text/html"),
        ),
    ]
}

/// An OpenAPI document.
#[derive(ToSchema)]
#[schema(value_type = Object)]
#[allow(dead_code, reason = "a schema alone")]
struct Document(serde_json::Value);

/// HTML that fetches the document from this service and loads nothing from any other host.
async fn page() -> Response {
    /// The browser enforces it.
    const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                          connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let mut response = Response::new(include_str!("../openapi/page.html").into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
