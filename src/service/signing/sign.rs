//! `POST /v1/scalar_mul` and `/v1/sign/…`: one straight line for every message.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use hsm::{G1Point, KeyId};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::auth::Scope;
use crate::eigenlayer;
use crate::key::KeyVersion;
use crate::key::{Eoa, KeyName, KeyVersionNumber, VersionSelector};
use crate::metrics;
use crate::service::auth::authorise::Operation;
use crate::service::{Allowed, AuditSubject, Context, Message, Service, ServiceError, version_ref};
use crate::store::VersionNotFound;
use audit_log::{Intent, Outcome, Receipt, Recordable};

/// What the caller asks for.
#[derive(Debug)]
pub struct Sign {
    /// The owner of the key.
    pub eoa: Eoa,
    /// Its name.
    pub name: KeyName,
    /// Which version.
    pub version: VersionSelector,
    /// What to sign.
    pub message: Message,
    /// The right that another operation brings along, in place of the message's own.
    right: Option<Scope>,
}

impl Sign {
    /// A wish for a signature, with the right that its message takes.
    pub const fn new(eoa: Eoa, name: KeyName, version: VersionSelector, message: Message) -> Self {
        Self { eoa, name, version, message, right: None }
    }
}

impl Operation for Sign {
    fn name(&self) -> &'static str {
        self.message.operation()
    }

    fn scope(&self) -> Scope {
        self.right.unwrap_or(self.message.scope())
    }

    fn is_proof(&self) -> bool {
        self.right.is_some()
    }

    fn owner(&self) -> Eoa {
        self.eoa
    }

    fn key_name(&self) -> Option<&KeyName> {
        Some(&self.name)
    }
}

/// An allowed multiplication with a key that exists and may sign: ready to be recorded.
#[derive(Debug)]
pub struct PreparedSignature {
    allowed: Allowed<Sign>,
    version: Arc<KeyVersion>,
    message: Message,
    digest: Option<[u8; 32]>,
    point: G1Point,
}

impl PreparedSignature {
    pub(in crate::service) fn version(&self) -> &KeyVersion {
        &self.version
    }

    pub(in crate::service) const fn point(&self) -> G1Point {
        self.point
    }
}

impl Recordable for PreparedSignature {
    fn intent(&self) -> Intent {
        let context = self.allowed.context();
        Intent {
            operation: self.allowed.operation().name(),
            actor: context.actor(),
            request: context.request().to_string(),
            key: Some(version_ref(&self.version)),
            input: Some(self.message.input(self.digest)),
        }
    }
}

/// A product and everything that its answer names.
#[derive(Debug)]
pub struct Signed {
    /// The key that was used.
    pub version: Arc<KeyVersion>,
    /// The digest that was hashed to the curve, if one was.
    pub digest: Option<[u8; 32]>,
    /// What was multiplied.
    pub point: G1Point,
    /// The product.
    pub signature: G1Point,
    /// Where the intent stands in the log.
    pub receipt: Receipt,
}

impl Service {
    /// Signs: multiplies one point. The intent is durable before the key is touched; the outcome follows without being
    /// waited for.
    ///
    /// # Errors
    /// Every refusal and failure, recorded.
    pub async fn sign(
        &self,
        context: Context,
        request: Sign,
        deadline: Instant,
    ) -> Result<Signed, ServiceError> {
        let allowed = self.authorise(context, request)?;
        let ready = self.ready(allowed)?;
        self.agreed_with_registry(&ready, deadline).await?;
        let recorded =
            self.audit.record(ready).await.map_err(|refused| ServiceError::from(refused.error).recorded())?;
        if let Err(failure) = self.still_usable(recorded.subject()) {
            let (_, guard) = recorded.consume();
            guard.record_outcome(Outcome::failed(failure.code().as_str(), 0));
            return Err(failure.recorded());
        }
        let receipt = recorded.receipt();
        let begun = Instant::now();
        let (result, ready, guard) = self.custody.multiply(recorded, deadline).await;
        let micros = begun.elapsed().as_micros().try_into().unwrap_or(u64::MAX);
        match result {
            Ok(signature) => {
                // The token may have taken seconds: what was revoked or frozen meanwhile gives nothing away.
                if let Err(failure) = self.still_usable(&ready) {
                    guard.record_outcome(Outcome::failed(failure.code().as_str(), micros));
                    return Err(failure.recorded());
                }
                metrics::signed();
                let hash = Sha256::digest(signature.to_bytes()).into();
                self.signed_now(ready.version.id);
                guard.record_outcome(Outcome {
                    code: "ok",
                    signature_hash: Some(hash),
                    micros,
                    detail: None,
                });
                Ok(Signed {
                    digest: ready.digest,
                    point: ready.point,
                    version: ready.version,
                    signature,
                    receipt,
                })
            }
            Err(error) => {
                let failure = ServiceError::from(error);
                let code = failure.code().as_str();
                guard.record_outcome(Outcome { code, signature_hash: None, micros, detail: None });
                Err(failure.recorded())
            }
        }
    }

    async fn agreed_with_registry(
        &self,
        ready: &PreparedSignature,
        deadline: Instant,
    ) -> Result<(), ServiceError> {
        let operation = ready.allowed.operation();
        let key = &ready.version.public_key;
        let agreed = self.registry_agrees(&ready.message, key, &ready.point, deadline).await;
        agreed.map_err(|failure| {
            let mut asked = AuditSubject::version(&ready.version);
            asked.input = Some(ready.message.input(ready.digest));
            self.refuse(operation.name(), ready.allowed.context(), asked, failure)
        })
    }

    /// What was true before the wait for the record, or for the token, must be true after it.
    fn still_usable(&self, ready: &PreparedSignature) -> Result<(), ServiceError> {
        self.still_recognised(ready.allowed.context())?;
        let Sign { eoa, name, .. } = ready.allowed.operation();
        let number = VersionSelector::Number(ready.version.version);
        self.still_allowed(&ready.allowed, &*self.store.version(eoa, name, number)?)
    }

    /// The proof with which a bound version is registered. Who may make the version may have it, where the key's
    /// networks and the version's state allow it; what kinds of signing the key allows does not matter.
    ///
    /// # Errors
    /// Every refusal and failure, recorded.
    pub async fn prove(
        &self,
        context: Context,
        version: &KeyVersion,
        right: Scope,
        deadline: Instant,
    ) -> Result<Signed, ServiceError> {
        let (eoa, name) = (version.eoa, version.name.clone());
        let number = VersionSelector::Number(version.version);
        let message = Message::BoundRegistration;
        self.sign(context, Sign { eoa, name, version: number, message, right: Some(right) }, deadline).await
    }

    /// Finds the version, asks whether it signs, and builds the point.
    fn ready(&self, allowed: Allowed<Sign>) -> Result<PreparedSignature, ServiceError> {
        let Sign { eoa, name, .. } = allowed.operation();
        match self.found(&allowed) {
            Ok((version, message)) => {
                let digest = message.digest(&version.public_key);
                let point = match (&message, digest) {
                    (Message::Point(point), _) => *point,
                    (_, digest) => eigenlayer::hash_to_g1(&digest.unwrap_or_default()),
                };
                Ok(PreparedSignature { allowed, version, message, digest, point })
            }
            Err(failure) => {
                let asked = AuditSubject::key(*eoa, name);
                Err(self.refuse(allowed.operation().name(), allowed.context(), asked, failure))
            }
        }
    }

    /// The version that signs, and the message as it signs it.
    fn found(&self, allowed: &Allowed<Sign>) -> Result<(Arc<KeyVersion>, Message), ServiceError> {
        let Sign { eoa, name, version: selector, message, .. } = allowed.operation();
        let mut found = self.store.version(eoa, name, *selector);
        // Before its first day as current a key had no other version that a table could name.
        if let (Message::Certificate { .. }, VersionSelector::ActiveAt(_), Err(VersionNotFound::Version)) =
            (message, selector, &found)
        {
            found = self.store.version(eoa, name, VersionSelector::Number(KeyVersionNumber::FIRST));
        }
        let version = found?;
        self.still_allowed(allowed, &version)?;
        let message = message.for_binding(version.binding.as_ref())?;
        self.caps.take(eoa, name, self.store.policy(eoa, name).per_minute)?;
        Ok((version, message))
    }

    fn signed_now(&self, id: KeyId) {
        let now = self.now();
        self.signed.write().unwrap_or_else(PoisonError::into_inner).insert(id, now);
    }

    /// When a version signed last, since the start.
    pub fn last_signature(&self, version: &KeyVersion) -> Option<Timestamp> {
        self.signed.read().unwrap_or_else(PoisonError::into_inner).get(&version.id).copied()
    }
}
