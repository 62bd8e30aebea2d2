//! The handlers, one file per group of calls.

pub(crate) mod access_tokens;
pub(crate) mod audit;
pub(crate) mod auth;
pub(crate) mod health;
pub(crate) mod keys;
pub(crate) mod lifecycle;
pub(crate) mod maintenance;
pub(crate) mod policy;
pub(crate) mod schedule;
pub(crate) mod signing;
