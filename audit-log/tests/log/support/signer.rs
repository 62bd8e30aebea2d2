//! Checkpoints signed by a key in software.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use audit_log::{CheckpointSigner, PublicKey, PublisherSettings, VerifierKey};
use ed25519_dalek::{Signer, SigningKey};

pub struct Software(SigningKey);

impl Software {
    pub fn new(seed: u8) -> Arc<Self> {
        Arc::new(Self(SigningKey::from_bytes(&[seed; 32])))
    }
}

impl CheckpointSigner for Software {
    fn public_key(&self) -> PublicKey {
        PublicKey::Ed25519(self.0.verifying_key().to_bytes())
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
        Ok(self.0.sign(text).to_bytes().to_vec())
    }
}

pub const ORIGIN: &str = "example.test/avs-kms";

pub fn key(seed: u8) -> VerifierKey {
    VerifierKey::new(ORIGIN, Software::new(seed).public_key()).unwrap()
}

pub fn publishing(seed: u8) -> PublisherSettings {
    PublisherSettings {
        origin: Some(ORIGIN.to_owned()),
        every: Duration::from_millis(20),
        // These logs are made without a signer.
        requires_checkpoint: false,
        ..PublisherSettings::new(Software::new(seed))
    }
}
