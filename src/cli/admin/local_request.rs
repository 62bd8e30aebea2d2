//! A request of a command to the service.

use axum::http::Method;
use serde_json::Value;

/// A request of a command.
pub(in crate::cli) struct LocalRequest {
    pub(in crate::cli) method: Method,
    pub(in crate::cli) path: String,
    pub(in crate::cli) body: Option<Value>,
    /// The member that holds the items of a list: its pages are read to the last and joined.
    pub(in crate::cli) list: Option<&'static str>,
}

impl LocalRequest {
    /// A `GET` of one object.
    pub(in crate::cli) const fn get(path: String) -> Self {
        Self { method: Method::GET, path, body: None, list: None }
    }

    /// A `GET` of a list: its pages, joined.
    pub(in crate::cli) const fn list(path: String, member: &'static str) -> Self {
        Self { method: Method::GET, path, body: None, list: Some(member) }
    }

    /// A `POST`.
    pub(in crate::cli) fn post(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::POST, path: path.into(), body: Some(body), list: None }
    }
}
