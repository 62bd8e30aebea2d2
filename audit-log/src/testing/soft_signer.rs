//! A checkpoint key in software, made of a seed.

use ed25519_dalek::{Signer as _, SigningKey};

use crate::checkpoint::key::PublicKey;
use crate::checkpoint::signed::CheckpointSigner;

pub(crate) struct SoftSigner(SigningKey);

impl SoftSigner {
    pub(crate) fn new(seed: u8) -> Self {
        Self(SigningKey::from_bytes(&[seed; 32]))
    }
}

impl CheckpointSigner for SoftSigner {
    fn public_key(&self) -> PublicKey {
        PublicKey::Ed25519(self.0.verifying_key().to_bytes())
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.0.sign(text).to_bytes().to_vec())
    }
}
