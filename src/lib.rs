//! `avs-kms`: a key management service for operators of EigenLayer AVSs.
//!
//! The map, lowest first; a module uses only what stands above it in this list (`tests/layers.rs` checks it).
//!
//! - `hsm` (a crate of its own): the enclave; the only place where a scalar can exist.
//! - [`request`]: the identity of one request.
//! - [`key`]: what a key is called and which state lets it sign.
//! - [`auth`]: who calls and what they may do.

pub mod auth;
pub mod key;
pub mod request;
