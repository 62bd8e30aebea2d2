//! Life of a signature: `POST /v1/scalar_mul` and `/v1/sign/…`, one straight line for every message.
//!
//! [`Signing::sign`] is that line. Each step returns a value that only it can make and the next one consumes:
//! [`Sign`], [`Allowed`], [`PreparedSignature`], `Recorded`, [`Signed`].

use std::sync::Arc;
use std::time::Instant;

use audit_log::{Outcome, Receipt};
use hsm::G1Point;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::key_rate_limit::KeyRateLimits;
use super::last_signatures::LastSignatures;
use super::message::{Message, ResolvedMessage};
use super::prepared::{PreparedSignature, Sign};
use super::registry_check::RegistryCheck;
use crate::clock::Clock;
use crate::key::{KeyVersion, KeyVersionNumber, VersionSelector};
use crate::metrics;
use crate::service::auth::authorise::{Allowed, Authorizer};
use crate::service::context::Context;
use crate::service::custody::Custody;
use crate::service::error::ServiceError;
use crate::service::keys::freeze::check_not_frozen;
use crate::service::operation::{Operation, OperationInfo};
use crate::service::recorder::Recorder;
use crate::service::subject::{AuditSubject, version_ref};
use crate::store::{Store, VersionNotFound};

/// A signature and everything that its response names.
#[derive(Debug)]
pub struct Signed {
    /// The version that signed.
    pub version: Arc<KeyVersion>,
    /// The digest that was hashed to the curve; `None` for a raw point.
    pub digest: Option<[u8; 32]>,
    /// The point that was multiplied.
    pub point: G1Point,
    /// The product.
    pub signature: G1Point,
    /// Position of the intent in the audit log.
    pub receipt: Receipt,
}

/// Signatures.
#[derive(Debug)]
pub struct Signing {
    authorizer: Authorizer,
    recorder: Recorder,
    custody: Arc<Custody>,
    store: Store,
    registry: RegistryCheck,
    rate_limits: KeyRateLimits,
    last_signatures: LastSignatures,
    clock: Clock,
}

impl Signing {
    pub(in crate::service) fn new(
        (authorizer, recorder): (Authorizer, Recorder),
        custody: Arc<Custody>,
        store: Store,
        registry: RegistryCheck,
        clock: Clock,
    ) -> Self {
        let rate_limits = KeyRateLimits::new(clock.clone());
        let last_signatures = LastSignatures::default();
        Self { authorizer, recorder, custody, store, registry, rate_limits, last_signatures, clock }
    }

    /// Signs one message.
    ///
    /// # Errors
    /// Every refusal and failure, recorded.
    pub async fn sign(
        &self,
        context: Context,
        request: Sign,
        deadline: Instant,
    ) -> Result<Signed, ServiceError> {
        // 1. May this caller ask for it?
        let allowed = self.authorizer.authorise(context, request)?;
        // 2. Which version signs, and which point does the message resolve to?
        let prepared = self.prepare(allowed)?;
        // 3. Does the registry contract check the same registration?
        self.check_registry(&prepared, deadline).await?;
        // 4. Record the intent. It is durable before the key is touched.
        let recorded = self.recorder.intent(prepared).await?;
        // 5. Does all of this hold after the wait?
        if let Err(error) = self.recheck(recorded.subject()) {
            let (_, intent) = recorded.consume();
            intent.record_outcome(Outcome::failed(error.code().as_str(), 0));
            return Err(error.recorded());
        }
        // 6. Unwrap the scalar and multiply, in the enclave. The record is consumed: one record, one signature.
        let receipt = recorded.receipt();
        let begun = Instant::now();
        let (product, prepared, intent) = self.custody.multiply(recorded, deadline).await;
        let micros = begun.elapsed().as_micros().try_into().unwrap_or(u64::MAX);
        // 7. The token may have taken seconds: a key that was disabled meanwhile gives no signature away.
        let signature = product
            .map_err(ServiceError::from)
            .and_then(|signature| self.recheck(&prepared).map(|()| signature));
        // 8. Record the outcome, and answer without waiting for it.
        match signature {
            Ok(signature) => {
                let hash = Sha256::digest(signature.to_bytes()).into();
                intent.record_outcome(Outcome { signature_hash: Some(hash), ..Outcome::ok(micros) });
                metrics::signed();
                self.last_signatures.set(prepared.version.id, self.clock.now());
                let PreparedSignature { version, message, point, .. } = prepared;
                Ok(Signed { version, digest: message.digest(), point, signature, receipt })
            }
            Err(error) => {
                intent.record_outcome(Outcome::failed(error.code().as_str(), micros));
                Err(error.recorded())
            }
        }
    }

    /// Signs the registration of a bound version. The caller of `granted_by` may have it, where the key's networks and
    /// the version's state allow it; the kinds of signing that the key allows do not matter.
    ///
    /// # Errors
    /// Every refusal and failure, recorded.
    pub async fn prove(
        &self,
        context: Context,
        version: &KeyVersion,
        granted_by: &'static OperationInfo,
        deadline: Instant,
    ) -> Result<Signed, ServiceError> {
        let (eoa, name) = (version.eoa, version.name.clone());
        let number = VersionSelector::Number(version.version);
        let request = Sign::new(eoa, name, number, Message::BoundRegistration);
        self.sign(context, Sign { granted_by: Some(granted_by), ..request }, deadline).await
    }

    /// When a version signed last, since the start of the process.
    pub fn last_signature(&self, version: &KeyVersion) -> Option<Timestamp> {
        self.last_signatures.of(version.id)
    }

    fn prepare(&self, allowed: Allowed<Sign>) -> Result<PreparedSignature, ServiceError> {
        match self.resolve(&allowed) {
            Ok((version, message)) => {
                let point = message.point();
                Ok(PreparedSignature { allowed, version, message, point })
            }
            Err(error) => {
                let operation = allowed.operation();
                let subject = AuditSubject::of(operation);
                Err(self.recorder.refuse(operation.info(), allowed.context(), subject, error))
            }
        }
    }

    /// The version that signs, and the message as it signs it.
    fn resolve(&self, allowed: &Allowed<Sign>) -> Result<(Arc<KeyVersion>, ResolvedMessage), ServiceError> {
        let Sign { eoa, name, version: selector, message, .. } = allowed.operation();
        let mut found = self.store.version(eoa, name, *selector);
        // Before its first day as current a key had no other version that a table could name.
        if let (Message::Certificate { .. }, VersionSelector::ActiveAt(_), Err(VersionNotFound::Version)) =
            (message, selector, &found)
        {
            found = self.store.version(eoa, name, VersionSelector::Number(KeyVersionNumber::FIRST));
        }
        let version = found?;
        check_not_frozen(&self.store)?;
        self.authorizer.recheck(allowed, &version)?;
        let message = message.resolve(&version)?;
        self.rate_limits.take(eoa, name, self.store.policy(eoa, name).per_minute)?;
        Ok((version, message))
    }

    async fn check_registry(
        &self,
        prepared: &PreparedSignature,
        deadline: Instant,
    ) -> Result<(), ServiceError> {
        let PreparedSignature { allowed, version, message, .. } = prepared;
        self.registry.check(message, &version.public_key, deadline).await.map_err(|error| {
            let subject = AuditSubject { key: Some(version_ref(version)), input: Some(message.input()) };
            self.recorder.refuse(allowed.operation().info(), allowed.context(), subject, error)
        })
    }

    /// Checks again, after a wait, what was true before it.
    fn recheck(&self, prepared: &PreparedSignature) -> Result<(), ServiceError> {
        let allowed = &prepared.allowed;
        check_not_frozen(&self.store)?;
        self.authorizer.recheck_credential(allowed.context())?;
        let Sign { eoa, name, .. } = allowed.operation();
        let number = VersionSelector::Number(prepared.version.version);
        let version = self.store.version(eoa, name, number)?;
        self.authorizer.recheck(allowed, &version)
    }
}
