//! The handle that the service holds: queue, threads and token behind one door. Not for HTTP, audit or policy.

mod error;
mod health;
mod key;
mod settings;

use std::time::Instant;

pub use error::{EnclaveError, OpenError, PinFileProblem};
pub use health::{CanaryReport, Findings, Health, SecretMemory, TokenState};
pub use key::{KeyEntry, KeyId, KeyIdError, NewKey, PublicKey};
pub use settings::{FaultCheck, Settings, TokenSelector};

use crate::curve::G1Point;

/// Handle to the one enclave of this process; clones share it.
#[derive(Clone, Debug)]
pub struct Enclave;

/// What `init` made in the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initialised {
    /// Label of the token.
    pub token_label: String,
    /// Serial number of the token.
    pub token_serial: String,
    /// Label of the key-encryption key.
    pub kek_label: String,
    /// Its `CKA_ID`, 32 hex digits.
    pub kek_id: String,
}

impl Enclave {
    /// Makes the key-encryption key and the canary record in an existing token.
    ///
    /// # Errors
    /// [`OpenError::AlreadyInitialised`] where either exists, and all that opening can meet.
    pub fn initialise(_settings: &Settings) -> Result<Initialised, OpenError> {
        Err(OpenError::Settings("not implemented yet"))
    }

    /// Locks the token for this process, logs in once, checks key-encryption key and canary, indexes the records
    /// and starts the workers.
    ///
    /// # Errors
    /// One variant of [`OpenError`] for each thing that can be wrong.
    pub fn open(_settings: Settings) -> Result<Self, OpenError> {
        Err(OpenError::Settings("not implemented yet"))
    }

    /// Makes a key, durably, and proves that it can be read back. Repeating it with the same id and owner answers
    /// the same key.
    ///
    /// # Errors
    /// [`EnclaveError::DeadlineExceeded`] leaves it unknown whether the key exists; every other error means it does not.
    pub async fn create(&self, _key: NewKey, _deadline: Instant) -> Result<PublicKey, EnclaveError> {
        Err(EnclaveError::ShuttingDown)
    }

    /// `k·point` of the key's scalar.
    ///
    /// # Errors
    /// Any variant of [`EnclaveError`]; no product leaves with one.
    pub async fn scalar_mul(
        &self,
        _id: KeyId,
        _point: G1Point,
        _deadline: Instant,
    ) -> Result<G1Point, EnclaveError> {
        Err(EnclaveError::ShuttingDown)
    }

    /// The public key of a record, from the index of the token's records.
    #[must_use]
    pub fn public_key(&self, _id: KeyId) -> Option<PublicKey> {
        None
    }

    /// Every usable key, by id.
    #[must_use]
    pub fn keys(&self) -> Vec<KeyEntry> {
        Vec::new()
    }

    /// Destroys the record of a key and proves that it is gone. Cannot be undone.
    ///
    /// # Errors
    /// [`EnclaveError::UnknownKey`] where there is none (also when repeated).
    pub async fn destroy(&self, _id: KeyId, _deadline: Instant) -> Result<(), EnclaveError> {
        Err(EnclaveError::ShuttingDown)
    }

    /// A snapshot of token, queue, workers and findings.
    #[must_use]
    pub fn health(&self) -> Health {
        Health {
            token: TokenState::Stopped { cause: "not implemented yet".into() },
            logged_in: false,
            canary: None,
            queue_depth: 0,
            workers: 0,
            stuck_workers: 0,
            secret_memory: SecretMemory::LockedPages,
            keys: 0,
            findings: Findings::default(),
            recoveries: 0,
        }
    }

    /// Finishes what is queued, logs out and finalizes the module. Other clones answer `ShuttingDown` from then on.
    pub fn close(self) {}
}
