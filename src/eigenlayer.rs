//! What EigenLayer's contracts compute, computed here: hash-to-curve, EIP-712 digests, byte layouts and
//! the pairing checks that accept or refuse a key or a signature.
//!
//! Everything here is pure and sees public data only, so all of it may take a variable time. It is NOT
//! for secrets (those never leave `hsm`), for reading a chain, or for parsing what a client sent.
//!
//! Each item names the contract function it follows (eigenlayer-contracts v1.12, eigenlayer-middleware).
//! Addresses are 20 bytes, digests 32, points and coordinates big-endian with G2's imaginary limb first.

mod calls;
mod digest;
mod encoding;
mod hash;
mod pairing;
mod registry;

pub use calls::{key_registration_message_hash, pubkey_registration_message_hash};
pub use digest::{Certificate, KEY_REGISTRAR_VERSION, KeyRegistration, PubkeyRegistration};
pub use encoding::{PubkeyRegistrationParams, key_data, operator_id, signature_bytes};
pub use hash::hash_to_g1;
pub use pairing::{apk_registry_accepts, same_key, signature_verifier_accepts, verify};
pub use registry::{address_in, apk_registry_call, key_hash_call, pubkey_hash_call};

#[cfg(test)]
mod tests;
