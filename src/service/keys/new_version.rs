//! Creation of one version of a key, for new keys and for rotation.
//!
//! Durable transitions, in order: intent · reservation in the store · record in the token · completed version with its
//! events · outcome. After a crash between two of them `recovery` finishes or undoes them at the next start. No client
//! knows of the version before the last step.

use std::sync::Arc;
use std::time::Instant;

use audit_log::{Input, Intent, KeyRef, Outcome, Recordable, Recorded, Value};
use hsm::{EnclaveError, KeyId, NewKey, StoredName};

use super::admin::KeyAdmin;
use super::freeze::check_not_frozen;
use super::policy::facts_of;
use crate::auth::Policy;
use crate::key::{Binding, Eoa, KeyName, KeyVersion, KeyVersionNumber, Reservation};
use crate::service::context::Context;
use crate::service::custody::Creation;
use crate::service::error::ServiceError;
use crate::service::operation::OperationInfo;
use crate::service::recorder::{complete, fail};
use crate::service::subject::key_ref;

/// A version with its id chosen: ready to be recorded.
#[derive(Debug)]
pub(in crate::service) struct ReservedVersion {
    pub(super) context: Context,
    pub(super) operation: &'static OperationInfo,
    pub(super) reservation: Reservation,
    /// What the key shall allow; `None` keeps its policy.
    pub(super) policy: Option<Policy>,
    pub(super) reason: Option<String>,
}

impl Recordable for ReservedVersion {
    fn intent(&self) -> Intent {
        let binding = self.reservation.binding.map(|binding| ("binding", Value::Text(binding.to_string())));
        let reason = self.reason.clone().map(|reason| ("reason", Value::Text(reason)));
        let policy = self.policy.iter().filter(|policy| **policy != Policy::default());
        let fields: Vec<_> = policy.flat_map(facts_of).chain(binding).chain(reason).collect();
        Intent {
            operation: self.operation.name,
            actor: self.context.actor(),
            request: self.context.request().to_string(),
            key: Some(reserved_ref(&self.reservation)),
            input: (!fields.is_empty()).then_some(Input::Fields(fields)),
        }
    }
}

impl Creation for ReservedVersion {
    fn new_key(&self) -> Result<NewKey, EnclaveError> {
        let Reservation { id, eoa, name, version, .. } = &self.reservation;
        let name = StoredName::new(name.as_str())?;
        Ok(NewKey { id: *id, owner: *eoa.as_bytes(), name, version: version.number() })
    }
}

fn reserved_ref(reservation: &Reservation) -> KeyRef {
    KeyRef {
        version: Some(reservation.version.number()),
        id: Some(reservation.id.to_string()),
        ..key_ref(reservation.eoa, &reservation.name)
    }
}

impl KeyAdmin {
    /// Chooses the id of a version. An incomplete reservation keeps its id, because the enclave creates an id once.
    pub(super) async fn reserve(
        &self,
        eoa: Eoa,
        name: &KeyName,
        version: KeyVersionNumber,
        binding: Option<Binding>,
    ) -> Result<Reservation, ServiceError> {
        let reservations = self.store.reservations().await.map_err(ServiceError::internal)?;
        let incomplete = reservations.into_iter().find(|known| known.eoa == eoa && known.name == *name);
        let id = match incomplete {
            Some(known) => known.id,
            None => KeyId::random().map_err(ServiceError::internal)?,
        };
        Ok(Reservation { id, eoa, name: name.clone(), version, binding })
    }

    /// Creates a reserved version. The caller holds the change lock.
    pub(super) async fn create_version(
        &self,
        reserved: ReservedVersion,
        deadline: Instant,
    ) -> Result<Arc<KeyVersion>, ServiceError> {
        let recorded = self.recorder.intent(reserved).await?;
        if let Err(error) = self.write_reservation(&recorded).await {
            let (_, intent) = recorded.consume();
            return Err(fail(intent, error).await);
        }
        let begun = Instant::now();
        let (created, reserved, intent) = self.custody.create(recorded, deadline).await;
        let micros = begun.elapsed().as_micros().try_into().unwrap_or(u64::MAX);
        // On an error the reservation stays: the token may have created the record all the same.
        let completed = match created {
            Ok(public_key) => {
                let completed = self.store.complete(reserved.reservation, public_key, self.clock.now());
                completed.await.map_err(ServiceError::internal)
            }
            Err(error) => Err(error.into()),
        };
        match completed {
            Ok(version) => complete(intent, Outcome::ok(micros)).await.map(|()| version),
            Err(error) => Err(fail(intent, error).await),
        }
    }

    async fn write_reservation(&self, recorded: &Recorded<ReservedVersion>) -> Result<(), ServiceError> {
        let ReservedVersion { context, reservation, policy, .. } = recorded.subject();
        self.authorizer.recheck_credential(context)?;
        check_not_frozen(&self.store)?;
        let reserved = self.store.reserve(reservation.clone(), self.clock.now());
        reserved.await.map_err(ServiceError::internal)?;
        // Before the key exists. An interrupted creation may have left another policy.
        let (owner, name) = (reservation.eoa, reservation.name.clone());
        match policy {
            Some(policy) if *self.store.policy(&owner, &name) != *policy => {
                let set = self.store.set_policy(owner, name, policy.clone());
                set.await.map_err(ServiceError::internal)
            }
            Some(_) | None => Ok(()),
        }
    }
}
