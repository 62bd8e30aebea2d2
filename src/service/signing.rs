//! Signing operations: what is signed, the registry's check of it, each key's rate limit.

pub(in crate::service) mod key_rate_limit;
pub(in crate::service) mod message;
pub(in crate::service) mod registry_check;
pub(in crate::service) mod sign;
