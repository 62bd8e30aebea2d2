//! Signatures: messages, the registry's check of a registration, each key's rate limit.

pub(super) mod key_rate_limit;
pub(super) mod last_signatures;
pub(super) mod message;
pub(super) mod prepared;
pub(super) mod registry_check;
pub(super) mod sign;
