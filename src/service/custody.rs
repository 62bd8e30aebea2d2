//! Owner of the enclave: a key is created, used or destroyed only with a durable audit record of it.
//!
//! Not for: authorisation. Nothing else in the service may name `hsm::Enclave` (`tests/architecture/layers.rs`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use hsm::{
    CheckpointKey, Enclave, EnclaveError, G1Point, Health, KeyEntry, KeyId, NewKey, PublicKey, TakeOver,
    TokenState,
};

use crate::key::KeyVersion;
use crate::metrics::EnclaveReading;
use crate::service::keys::destruction::Destruction;
use crate::service::signing::prepared::PreparedSignature;
use audit_log::{CheckpointSigner, OutcomeGuard, Recordable, Recorded};

/// Signs the audit log's checkpoints with the token's key for that.
struct TokenSigner {
    enclave: Enclave,
    key: audit_log::PublicKey,
}

/// How long the token may take for one checkpoint; a later one replaces it.
const CHECKPOINT_TIMEOUT: Duration = Duration::from_secs(5);

impl CheckpointSigner for TokenSigner {
    fn public_key(&self) -> audit_log::PublicKey {
        self.key
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.enclave.sign_checkpoint(text, Instant::now() + CHECKPOINT_TIMEOUT)?)
    }
}

/// The newest checkpoint of the audit log, stored in the token.
pub(in crate::service) struct TokenAnchor {
    enclave: Enclave,
}

impl TokenAnchor {
    /// What is stored. Blocks.
    pub(in crate::service) fn read(&self) -> Result<Vec<Vec<u8>>, EnclaveError> {
        self.enclave.audit_anchors(Instant::now() + CHECKPOINT_TIMEOUT)
    }

    /// Replaces what is stored. Blocks.
    pub(in crate::service) fn replace(&self, anchor: Vec<u8>) -> Result<(), EnclaveError> {
        self.enclave.replace_audit_anchor(anchor, Instant::now() + CHECKPOINT_TIMEOUT)
    }
}

/// Whether the token's authenticated record names what the store says of this version.
fn is_of(entry: &KeyEntry, version: &KeyVersion) -> bool {
    entry.owner == *version.eoa.as_bytes()
        && entry.name.as_str() == version.name.as_str()
        && entry.version == version.version.number()
        && entry.public_key == version.public_key
}

/// The enclave.
#[derive(Debug)]
pub struct Custody {
    enclave: Option<Enclave>,
    /// Age beyond which a canary says nothing about the token's health.
    canary_good_for: Duration,
}

/// A creation that can be recorded and carried out.
pub(in crate::service) trait Creation: Recordable {
    fn new_key(&self) -> Result<NewKey, EnclaveError>;
}

impl Custody {
    /// Takes the enclave: from here on only recorded operations reach it.
    pub const fn new(enclave: Enclave, canary_interval: Duration) -> Self {
        Self { enclave: Some(enclave), canary_good_for: canary_interval.saturating_mul(3) }
    }

    /// No enclave: for commands that need the store and the log alone.
    pub const fn absent() -> Self {
        Self { enclave: None, canary_good_for: Duration::ZERO }
    }

    fn enclave(&self) -> Result<&Enclave, EnclaveError> {
        self.enclave.as_ref().ok_or(EnclaveError::ShuttingDown)
    }

    /// Multiplies the recorded point with the recorded key, once: the record is consumed.
    pub async fn multiply(
        &self,
        recorded: Recorded<PreparedSignature>,
        deadline: Instant,
    ) -> (Result<G1Point, EnclaveError>, PreparedSignature, OutcomeGuard) {
        let (ready, guard) = recorded.consume();
        let result = match self.confirmed(ready.version()) {
            Ok(enclave) => enclave.scalar_mul(ready.version().id, ready.point(), deadline).await,
            Err(error) => Err(error),
        };
        (result, ready, guard)
    }

    /// Creates the recorded key.
    pub(in crate::service) async fn create<C: Creation>(
        &self,
        recorded: Recorded<C>,
        deadline: Instant,
    ) -> (Result<PublicKey, EnclaveError>, C, OutcomeGuard) {
        let (creation, guard) = recorded.consume();
        let result = match self.enclave().and_then(|enclave| Ok((enclave, creation.new_key()?))) {
            Ok((enclave, key)) => enclave.create(key, deadline).await,
            Err(error) => Err(error),
        };
        (result, creation, guard)
    }

    /// Destroys the recorded version in the token. One that is not there any more is destroyed: the enclave says so
    /// only after the token proved its health.
    pub(in crate::service) async fn destroy(
        &self,
        recorded: Recorded<Destruction>,
        deadline: Instant,
    ) -> (Result<(), EnclaveError>, OutcomeGuard) {
        let (destruction, guard) = recorded.consume();
        let result = match self.enclave() {
            Ok(enclave) => enclave.destroy(destruction.id(), deadline).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(()) | Err(EnclaveError::UnknownKey) => (Ok(()), guard),
            Err(error) => (Err(error), guard),
        }
    }

    /// The enclave, if the token's authenticated record names the same owner, name, version and public key as
    /// the store: no key is used under another name.
    fn confirmed(&self, version: &KeyVersion) -> Result<&Enclave, EnclaveError> {
        let enclave = self.enclave()?;
        if is_of(&enclave.key(version.id)?, version) { Ok(enclave) } else { Err(EnclaveError::UnknownKey) }
    }

    /// Whether the token has a record of this version with the same owner, name and public key.
    pub fn holds(&self, version: &KeyVersion) -> bool {
        self.confirmed(version).is_ok()
    }

    /// The public key of a record in the token, if there is one.
    pub fn public_key(&self, id: KeyId) -> Option<PublicKey> {
        self.enclave.as_ref().and_then(|enclave| enclave.public_key(id))
    }

    /// Ids of all records in the token.
    pub fn ids(&self) -> Vec<KeyId> {
        let entries = self.enclave.as_ref().map(Enclave::keys).unwrap_or_default();
        entries.into_iter().map(|entry| entry.id).collect()
    }

    /// Whether the token serves and its canary was right recently.
    pub fn is_ready(&self, health: &Health) -> bool {
        matches!(health.token, TokenState::Ready)
            && health.logged_in
            && health.workers > 0
            && !health.stalled
            && health
                .canary
                .as_ref()
                .is_some_and(|canary| canary.passed && canary.age <= self.canary_good_for)
    }

    /// Whether the token is stopped until an operator acts, as after a refused PIN.
    pub fn is_stopped(&self) -> bool {
        self.health().is_some_and(|health| matches!(health.token, TokenState::Stopped { .. }))
    }

    /// Whose lease of the token the start removed, and why it was allowed to; none where no other had one.
    pub(in crate::service) fn taken_over(&self) -> Option<(String, &'static str)> {
        let TakeOver { holders, is_asked } = self.health()?.findings.taken_over;
        let why = if is_asked { "it did not answer" } else { "--take-over-token" };
        (!holders.is_empty()).then(|| (holders.join(", "), why))
    }

    /// The enclave's state, if there is one.
    pub fn health(&self) -> Option<Health> {
        self.enclave.as_ref().map(Enclave::health)
    }

    /// The state of the enclave for the gauges.
    pub(in crate::service) fn reading(&self) -> Option<EnclaveReading> {
        let health = self.health()?;
        Some(EnclaveReading {
            ready: matches!(health.token, TokenState::Ready) && health.logged_in,
            stopped: matches!(health.token, TokenState::Stopped { .. }),
            recoveries: health.recoveries,
            canary: health.canary.map(|canary| (canary.passed, canary.age)),
            queue_depth: health.queue_depth,
            workers: health.workers,
            stuck_workers: health.stuck_workers,
            unreadable_keys: health.findings.unreadable.len(),
        })
    }

    /// What signs the audit log's checkpoints.
    ///
    /// # Errors
    /// When there is no enclave, or the token is away.
    pub fn checkpoint_signer(&self) -> Result<Arc<dyn CheckpointSigner>, EnclaveError> {
        let enclave = self.enclave()?.clone();
        let key = public_key_of(enclave.checkpoint_key()?);
        Ok(Arc::new(TokenSigner { enclave, key }))
    }

    /// Where the token stores the newest checkpoint; none for a token that takes no data objects.
    ///
    /// # Errors
    /// When there is no enclave.
    pub(in crate::service) fn anchor(&self) -> Result<Option<TokenAnchor>, EnclaveError> {
        let enclave = self.enclave()?;
        Ok(enclave.keeps_anchors().then(|| TokenAnchor { enclave: enclave.clone() }))
    }

    /// Finishes what is queued and logs out.
    pub fn close(&self) {
        if let Some(enclave) = &self.enclave {
            enclave.clone().close();
        }
    }
}

/// The key as the audit log has it.
pub const fn public_key_of(key: CheckpointKey) -> audit_log::PublicKey {
    match key {
        CheckpointKey::Ed25519(key) => audit_log::PublicKey::Ed25519(key),
        CheckpointKey::P256(point) => audit_log::PublicKey::P256(point),
        CheckpointKey::Rsa3072(modulus) => audit_log::PublicKey::Rsa3072(modulus),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_context_of_a_record_is_the_one_that_the_audit_log_knows() {
        assert_eq!(hsm::RECORD_CONTEXT, audit_log::StatementKind::WrappedRecord.context());
    }
}
