//! `POST /v1/keys`: get or create the key of a name.
//!
//! Durable steps, in order: intent · reservation in the store · record in the token · completed version ·
//! outcome. A process that dies between two of them is put right by `recovery` at the next start: nobody
//! was told of the key before the last step.

use std::sync::Arc;
use std::time::Instant;

use hsm::{KeyId, NewKey};

use super::authorise::Operation;
use super::custody::Creation;
use super::{Asked, Code, Context, Failure, Service, now};
use crate::audit::{Input, Intent, KeyRef, Outcome, Recordable, Settlement};
use crate::auth::{Policy, Scope};
use crate::key::{Eoa, KeyName, KeyState, Version};
use crate::store::{KeyVersion, Reservation};

/// What the caller asks for.
#[derive(Debug)]
pub struct CreateKey {
    /// The owner.
    pub eoa: Eoa,
    /// The name.
    pub name: KeyName,
    /// What the key shall allow; none given means everything, or what holds already.
    pub policy: Option<Policy>,
}

impl CreateKey {
    /// Its name in the audit log.
    pub const NAME: &'static str = "keys.create";
}

impl Operation for CreateKey {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn scope(&self) -> Scope {
        Scope::KeysCreate
    }

    fn owner(&self) -> Eoa {
        self.eoa
    }

    fn key_name(&self) -> Option<&KeyName> {
        Some(&self.name)
    }
}

/// The key, and whether this call made it.
#[derive(Debug)]
pub struct Created {
    /// The current version, or the newest where none is current.
    pub version: Arc<KeyVersion>,
    /// `false` if it was there already.
    pub created: bool,
}

/// A creation with its id chosen: ready to be recorded.
#[derive(Debug)]
struct Planned {
    context: Context,
    policy: Option<Policy>,
    reservation: Reservation,
}

impl Recordable for Planned {
    fn intent(&self) -> Intent {
        Intent {
            operation: CreateKey::NAME,
            actor: self.context.actor(),
            request: self.context.request(),
            key: Some(reserved_key(&self.reservation)),
            input: self.policy.as_ref().map(|policy| Input::Fields(super::policies::facts_of(policy))),
        }
    }
}

impl Creation for Planned {
    fn new_key(&self) -> NewKey {
        NewKey { id: self.reservation.id, owner: *self.reservation.eoa.as_bytes() }
    }
}

/// How the audit log names a version that is being made.
fn reserved_key(reservation: &Reservation) -> KeyRef {
    KeyRef {
        eoa: reservation.eoa,
        name: reservation.name.clone(),
        version: Some(reservation.version),
        id: Some(reservation.id.to_string()),
        public_key_hash: None,
    }
}

impl Service {
    /// Gets the key or makes it.
    ///
    /// # Errors
    /// Every refusal and failure, recorded.
    pub async fn create_key(
        &self,
        context: Context,
        request: CreateKey,
        deadline: Instant,
    ) -> Result<Created, Failure> {
        let (context, CreateKey { eoa, name, policy }) = self.authorise(context, request)?.into_parts();
        // Behind a token that hangs, creations give up at their deadlines instead of piling up.
        let _one_at_a_time = match tokio::time::timeout_at(deadline.into(), self.creating.lock()).await {
            Ok(guard) => guard,
            Err(_) => {
                return Err(self.refuse(
                    CreateKey::NAME,
                    &context,
                    Asked::key(eoa, &name),
                    Failure::too_late(),
                ));
            }
        };
        if let Some(existing) = self.existing(&context, &eoa, &name) {
            return match policy {
                Some(policy) if policy != *self.store.policy(&eoa, &name) => {
                    let sentence = "the key is there with another policy, which is changed on the service's own \
                                    machine: avs-kms keys policy";
                    let failure = Failure::new(Code::WrongState, sentence).at("policy");
                    Err(self.refuse(CreateKey::NAME, &context, Asked::key(eoa, &name), failure))
                }
                Some(_) | None => Ok(existing),
            };
        }
        // A creation whose end this process did not see goes on under its own id, which the enclave makes once.
        let left = self.reservation_of(&eoa, &name)?;
        let fresh = left.is_none();
        let reservation = match left {
            Some(reservation) => reservation,
            None => {
                let id = KeyId::random().map_err(Failure::internal)?;
                Reservation { id, eoa, name, version: Version::FIRST }
            }
        };
        let planned = Planned { context, policy, reservation };
        let recorded = self.audit.record(planned).await;
        let recorded = recorded.map_err(|refused| Failure::from(refused.error).recorded())?;
        if let Err(failure) = self.still_recognised(&recorded.subject().context) {
            let (_, settlement) = recorded.consume();
            return Err(settled(settlement, failure).await);
        }
        if fresh {
            let reserve = recorded.subject().reservation.clone();
            if let Err(failure) = self.in_store(move |store| store.reserve(&reserve, now())).await {
                let (_, settlement) = recorded.consume();
                return Err(settled(settlement, failure).await);
            }
        }
        // Before the key exists; what an interrupted creation left is not what this one asked for.
        let Reservation { eoa, name, .. } = recorded.subject().reservation.clone();
        let policy = recorded.subject().policy.clone().unwrap_or_default();
        if *self.store.policy(&eoa, &name) != policy
            && let Err(failure) = self.in_store(move |store| store.set_policy(eoa, name, policy)).await
        {
            let (_, settlement) = recorded.consume();
            return Err(settled(settlement, failure).await);
        }
        let begun = Instant::now();
        let (result, planned, settlement) = self.custody.create(recorded, deadline).await;
        let micros = begun.elapsed().as_micros().try_into().unwrap_or(u64::MAX);
        let reservation = planned.reservation;
        match result {
            Ok(public_key) => {
                let complete = move |store: &crate::store::Store| {
                    store.complete(reservation, public_key, KeyState::Active, now())
                };
                match self.in_store(complete).await {
                    Ok(version) => {
                        settlement
                            .settle_durable(Outcome::ok(micros))
                            .await
                            .map_err(|error| Failure::from(error).recorded())?;
                        Ok(Created { version, created: true })
                    }
                    Err(failure) => Err(settled(settlement, failure).await),
                }
            }
            // The reservation stays, for the next attempt or start: whether the token made it may not be known.
            Err(error) => Err(settled(settlement, error.into()).await),
        }
    }

    fn reservation_of(&self, eoa: &Eoa, name: &KeyName) -> Result<Option<Reservation>, Failure> {
        let reservations = self.store.reservations().map_err(Failure::internal)?;
        Ok(reservations.into_iter().find(|left| left.eoa == *eoa && left.name == *name))
    }

    fn existing(&self, context: &Context, eoa: &Eoa, name: &KeyName) -> Option<Created> {
        let versions = self.store.versions_of_key(eoa, name);
        let active = versions.iter().find(|version| version.state == KeyState::Active);
        let version = Arc::clone(active.or_else(|| versions.first())?);
        self.note(CreateKey::NAME, context, Asked::version(&version), "ok");
        Some(Created { version, created: false })
    }
}

/// Settles an intent with the failure that ended it.
async fn settled(settlement: Settlement, failure: Failure) -> Failure {
    let code = failure.code().slug();
    let outcome = Outcome { code, signature_hash: None, micros: 0, detail: None };
    if let Err(error) = settlement.settle_durable(outcome).await {
        tracing::error!(%error, "the outcome of a failed operation could not be recorded");
    }
    failure.recorded()
}
