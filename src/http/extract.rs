//! From a request to values: its caller, its body, its query parameters.

pub(crate) mod authenticated;
pub(crate) mod body;
pub(crate) mod query;
pub(crate) mod strict_json;
