//! Computations of EigenLayer's contracts: hash-to-curve, EIP-712 digests, byte layouts and the
//! pairing checks that accept a key or a signature.
//!
//! Pure functions on public data, so all of them may take variable time. Not for: secrets (they
//! never leave `hsm`), reading a chain (`chain`), or parsing requests (`http`).
//!
//! Each item names its contract function (eigenlayer-contracts v1.12, eigenlayer-middleware).
//! Addresses have 20 bytes, digests 32. Points and coordinates are big-endian, the imaginary
//! coefficient of G2 first.

mod calls;
mod digest;
mod encoding;
mod hash;
mod pairing;
mod registry;

pub use calls::{key_registration_message_hash, pubkey_registration_message_hash};
pub use digest::*;
pub use encoding::{PubkeyRegistrationParams, key_data, operator_id, signature_bytes};
pub use hash::hash_to_g1;
pub use pairing::{apk_registry_accepts, same_key, signature_verifier_accepts, verify};
pub use registry::{address_in, apk_registry_call, key_hash_call, pubkey_hash_call};

#[cfg(test)]
mod tests;
