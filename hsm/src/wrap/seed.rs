//! A seed of Ed25519 in a slot: its public key and its signatures, computed on the guarded stack. Not for scalars.
//!
//! `ed25519-dalek` is constant time by construction, allocates nothing here and wipes its copies; the stack is wiped
//! after it all the same.

use ed25519_dalek::{Signer, SigningKey};

use super::scalar::UnwrappedScalar;
use super::scheme::PLAIN_LEN;
use crate::arena::{SLOT_LEN, Stack};

impl UnwrappedScalar<'_> {
    /// The public key of the seed (RFC 8032).
    pub(crate) fn ed25519_public(&mut self, stack: &mut Stack) -> [u8; 32] {
        self.on(stack, |page| key(page).verifying_key().to_bytes())
    }

    /// Public key and signature of the text.
    pub(crate) fn ed25519_sign(&mut self, stack: &mut Stack, text: &[u8]) -> ([u8; 32], [u8; 64]) {
        self.on(stack, |page| {
            let key = key(page);
            (key.verifying_key().to_bytes(), key.sign(text).to_bytes())
        })
    }
}

/// On the guarded stack alone: the seed is in its locals.
fn key(page: &[u8; SLOT_LEN]) -> SigningKey {
    const { assert!(PLAIN_LEN == ed25519_dalek::SECRET_KEY_LENGTH && PLAIN_LEN <= SLOT_LEN) };
    // Always there, as just asserted.
    SigningKey::from_bytes(page.first_chunk().unwrap_or(&[0; PLAIN_LEN]))
}
