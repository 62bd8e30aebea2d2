//! The endpoints, one file per group of calls: bodies, conversion, handlers, description.

pub(crate) mod access_tokens;
pub(crate) mod audit;
pub(crate) mod auth;
pub(crate) mod docs;
pub(crate) mod freeze;
pub(crate) mod health;
pub(crate) mod keys;
pub(crate) mod lifecycle;
pub(crate) mod maintenance;
pub(crate) mod policy;
pub(crate) mod schedule;
pub(crate) mod signing;
