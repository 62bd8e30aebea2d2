//! The names of operations: what the audit log, the metrics and the spans call what a request asks for.

use axum::extract::{MatchedPath, Request};
use axum::http::Method;

/// Of a request that was matched to a route.
pub(crate) fn operation_in(request: &Request) -> Option<&'static str> {
    operation_of(request.method(), request.extensions().get())
}

/// Of a method and a route; `None` where nothing is recorded.
pub(crate) fn operation_of(method: &Method, path: Option<&MatchedPath>) -> Option<&'static str> {
    match (method, path?.as_str()) {
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
        (&Method::POST, "/v1/auth/verify") => Some("auth.verify"),
        (&Method::POST, "/v1/auth/revoke") => Some("auth.revoke"),
        (&Method::GET, "/v1/audit") => Some("audit.read"),
        (&Method::GET, "/local/keys") => Some("keys.list_all"),
        (&Method::POST, "/local/files") => Some("files.note"),
        (&Method::POST, "/local/keys/policy") => Some("keys.set_policy"),
        (&Method::GET, "/local/tokens") => Some("token.list"),
        (&Method::POST, "/local/tokens") => Some("token.issue"),
        (&Method::POST, "/local/tokens/revoke") => Some("token.revoke"),
        _ => None,
    }
}
