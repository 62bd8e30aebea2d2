//! The sections: each file has the description of its settings, and what must hold between them.

pub(super) mod audit;
pub(super) mod auth;
pub(super) mod data;
pub(super) mod enclave;
pub(super) mod events;
pub(super) mod keys;
pub(super) mod limits;
pub(super) mod log;
pub(super) mod pkcs11;
pub(super) mod server;
pub(super) mod tls;
