//! Making a version of a key: what creation and rotation have in common.
//!
//! Durable steps, in order: intent · reservation in the store · record in the token · completed version with its
//! events · outcome. A process that dies between two of them is put right by `recovery` at the next start: nobody
//! was told of the version before the last step.

use std::sync::Arc;
use std::time::Instant;

use hsm::{EnclaveError, KeyId, NewKey, StoredName};

use crate::auth::Policy;
use crate::key::{Binding, Eoa, KeyName, KeyVersionNumber};
use crate::key::{KeyVersion, Reservation};
use crate::service::custody::Creation;
use crate::service::{Context, Service, ServiceError};
use audit_log::{Input, Intent, KeyRef, Outcome, OutcomeGuard, Recordable, Value};

/// A version with its id chosen: ready to be recorded.
#[derive(Debug)]
pub(in crate::service) struct Planned {
    pub(in crate::service) context: Context,
    pub(in crate::service) operation: &'static str,
    pub(in crate::service) reservation: Reservation,
    /// What the key shall allow; none leaves what holds.
    pub(in crate::service) policy: Option<Policy>,
    pub(in crate::service) reason: Option<String>,
}

impl Recordable for Planned {
    fn intent(&self) -> Intent {
        let binding = self.reservation.binding.map(|binding| ("binding", Value::Text(binding.to_string())));
        let reason = self.reason.clone().map(|reason| ("reason", Value::Text(reason)));
        let policy = self.policy.iter().filter(|policy| **policy != Policy::default());
        let policy = policy.flat_map(crate::service::keys::policy::facts_of);
        let fields: Vec<_> = policy.chain(binding).chain(reason).collect();
        Intent {
            operation: self.operation,
            actor: self.context.actor(),
            request: self.context.request().to_string(),
            key: Some(reserved_key(&self.reservation)),
            input: (!fields.is_empty()).then_some(Input::Fields(fields)),
        }
    }
}

impl Creation for Planned {
    fn new_key(&self) -> Result<NewKey, EnclaveError> {
        let Reservation { id, eoa, name, version, .. } = &self.reservation;
        let name = StoredName::new(name.as_str())?;
        Ok(NewKey { id: *id, owner: *eoa.as_bytes(), name, version: version.number() })
    }
}

/// How the audit log names a version that is being made.
fn reserved_key(reservation: &Reservation) -> KeyRef {
    KeyRef {
        eoa: reservation.eoa.to_string(),
        name: reservation.name.to_string(),
        version: Some(reservation.version.number()),
        id: Some(reservation.id.to_string()),
        public_key_hash: None,
    }
}

impl Service {
    /// Makes the version that is planned. The caller holds `changing`.
    pub(in crate::service) async fn make_version(
        &self,
        planned: Planned,
        deadline: Instant,
    ) -> Result<Arc<KeyVersion>, ServiceError> {
        let recorded = self.audit.record(planned).await;
        let recorded = recorded.map_err(|refused| ServiceError::from(refused.error).recorded())?;
        if let Err(failure) = self.still_recognised(&recorded.subject().context) {
            let (_, guard) = recorded.consume();
            return Err(fail_intent(guard, failure).await);
        }
        let (reserve, now) = (recorded.subject().reservation.clone(), self.now());
        if let Err(failure) = self.in_store(move |store| store.reserve(&reserve, now)).await {
            let (_, guard) = recorded.consume();
            return Err(fail_intent(guard, failure).await);
        }
        // Before the key exists; what an interrupted creation left is not what this one asked for.
        let Reservation { eoa, name, .. } = recorded.subject().reservation.clone();
        if let Some(policy) = recorded.subject().policy.clone()
            && *self.store.policy(&eoa, &name) != policy
            && let Err(failure) = self.in_store(move |store| store.set_policy(eoa, name, policy)).await
        {
            let (_, guard) = recorded.consume();
            return Err(fail_intent(guard, failure).await);
        }
        let begun = Instant::now();
        let (result, planned, guard) = self.custody.create(recorded, deadline).await;
        let micros = begun.elapsed().as_micros().try_into().unwrap_or(u64::MAX);
        let (reservation, now) = (planned.reservation, self.now());
        match result {
            Ok(public_key) => {
                match self.in_store(move |store| store.complete(reservation, public_key, now)).await {
                    Ok(version) => {
                        guard
                            .record_outcome_durable(Outcome::ok(micros))
                            .await
                            .map_err(|error| ServiceError::from(error).recorded())?;
                        Ok(version)
                    }
                    Err(failure) => Err(fail_intent(guard, failure).await),
                }
            }
            // The reservation stays, for the next attempt or start: whether the token made it may not be known.
            Err(error) => Err(fail_intent(guard, error.into()).await),
        }
    }

    /// The reservation of a version: one whose end this process did not see goes on under its own id, which the
    /// enclave makes once.
    pub(in crate::service) fn plan(
        &self,
        eoa: Eoa,
        name: &KeyName,
        version: KeyVersionNumber,
        binding: Option<Binding>,
    ) -> Result<Reservation, ServiceError> {
        let left = self.store.reservations().map_err(ServiceError::internal)?;
        let left = left.into_iter().find(|left| left.eoa == eoa && left.name == *name);
        let id = match left {
            Some(left) => left.id,
            None => KeyId::random().map_err(ServiceError::internal)?,
        };
        Ok(Reservation { id, eoa, name: name.clone(), version, binding })
    }
}

/// Settles an intent with the failure that ended it.
pub(in crate::service) async fn fail_intent(guard: OutcomeGuard, failure: ServiceError) -> ServiceError {
    let code = failure.code().as_str();
    let outcome = Outcome { code, signature_hash: None, micros: 0, detail: None };
    if let Err(error) = guard.record_outcome_durable(outcome).await {
        tracing::error!(%error, "the outcome of a failed operation could not be recorded");
    }
    failure.recorded()
}
