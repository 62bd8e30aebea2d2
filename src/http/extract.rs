//! From a request to values: the caller, the body's members, the query's parameters.

pub(crate) mod authenticated;
pub(crate) mod object;
pub(crate) mod operation_name;
pub(crate) mod query;
pub(crate) mod strict_json;
pub(crate) mod values;
