//! Recovery at start: operations that an earlier process left open are finished or undone before the first request.
//!
//! A transition is one database transaction, which the number of its intent marks as applied. A destruction that was
//! begun continues. A reservation whose record is in the token is completed: the key is whole. One without a record
//! is given up. What was taken away while the token was away comes first. Records that the store does not know are
//! reported and left alone.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audit_log::{Actor, AuditLog, Event, Input, OpenIntent, Outcome, Value};

use super::context::Context;
use super::custody::Custody;
use super::error::ServiceError;
use super::keys::admin::KeyAdmin;
use super::keys::take_away::TakeAway;
use super::operation::{
    KEYS_ACTIVATE, KEYS_CREATE, KEYS_DESTROY, KEYS_DESTROY_DUE, KEYS_DISABLE, KEYS_ENABLE, KEYS_RESTORE,
    KEYS_RETIRE, KEYS_ROTATE, KEYS_SCHEDULE_SET, KEYS_UNRETIRE, SERVICE_FREEZE, SERVICE_UNFREEZE,
    TOKEN_TAKEN_OVER,
};
use crate::clock::Clock;
use crate::key::{KeyVersion, LifecycleState, Reservation};
use crate::request_id::RequestId;
use crate::store::Store;

/// How long the token may take to destroy one record at start.
const DESTROY_TIMEOUT: Duration = Duration::from_secs(30);

/// What the start finished and what it found.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Operations that were finished.
    pub finished: usize,
    /// Operations that were undone: nothing of them was made.
    pub undone: usize,
    /// Versions that the store knows and the token does not hold as the same owner's same key.
    pub missing: Vec<String>,
    /// Records that no version names.
    pub unclaimed: Vec<String>,
    /// Destroyed versions whose record is there again.
    pub returned: Vec<String>,
}

/// How one operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RecoveredOutcome {
    Finished,
    Undone,
}

/// Finishes or undoes what an earlier process left open.
#[derive(Debug)]
pub(super) struct Recovery<'a> {
    pub(super) keys: &'a KeyAdmin,
    pub(super) store: &'a Store,
    pub(super) log: &'a AuditLog,
    pub(super) custody: &'a Custody,
    pub(super) clock: &'a Clock,
}

impl Recovery<'_> {
    /// Settles everything that is open. Runs once, before the first request.
    pub(super) async fn run(&self, open_intents: Vec<OpenIntent>) -> Result<Recovered, ServiceError> {
        let mut recovered = Recovered::default();
        // First: what was taken away while nothing ran signs no more, whatever fails below.
        let mut others = Vec::new();
        for intent in open_intents {
            let Some(what) = TakeAway::of(&intent) else {
                others.push(intent);
                continue;
            };
            let missing = what.carry_out(self.store, &intent.receipt, self.clock.now()).await?;
            let code = if missing.is_none() { "recovered_applied" } else { "recovered_not_applied" };
            if let Some(missing) = missing {
                tracing::warn!(
                    record = intent.receipt.seq,
                    "nothing was taken away by this record: {missing}"
                );
            }
            let detail = missing.map(str::to_owned);
            self.log.record_recovered(&intent, &Outcome { code, detail, ..Outcome::unknown() }).await?;
            recovered.finished += usize::from(missing.is_none());
        }
        self.note_take_over().await?;
        // A key that is whole was finished, whichever process finished it.
        let versions = self.store.all_versions();
        let mut ends: Vec<_> =
            versions.iter().map(|version| (version.id.to_string(), RecoveredOutcome::Finished)).collect();
        for reservation in self.store.reservations().await.map_err(ServiceError::internal)? {
            let id = reservation.id.to_string();
            let end = self.reconcile(reservation).await?;
            match end {
                RecoveredOutcome::Finished => recovered.finished += 1,
                RecoveredOutcome::Undone => recovered.undone += 1,
            }
            ends.push((id, end));
        }
        for version in self.store.destruction_pending() {
            let request = RequestId::random().map_err(ServiceError::internal)?;
            let deadline = Instant::now() + DESTROY_TIMEOUT;
            // What the token refuses now the scheduler tries again: the service starts without it.
            match self.keys.destroy_due(Context::service(request), &version, deadline).await {
                Ok(_) => recovered.finished += 1,
                Err(error) => {
                    tracing::error!(cause = error.cause(), "a destruction was not finished: {error}")
                }
            }
        }
        for intent in others {
            let code = match self.outcome_of(&intent, &ends).await? {
                Some(RecoveredOutcome::Finished) => "recovered_applied",
                Some(RecoveredOutcome::Undone) => "recovered_not_applied",
                None => Outcome::unknown().code,
            };
            self.log.record_recovered(&intent, &Outcome { code, ..Outcome::unknown() }).await?;
        }
        self.store.clear_applied_intents().await.map_err(ServiceError::internal)?;
        self.compare_with_token(&mut recovered);
        Ok(recovered)
    }

    /// Records whose lease of the token this process removed. If it dies before, only its log says so.
    async fn note_take_over(&self) -> Result<(), ServiceError> {
        let Some((holders, why)) = self.custody.taken_over() else { return Ok(()) };
        let fields = vec![("holder", Value::Text(holders)), ("why", Value::Text(why.to_owned()))];
        let event = Event {
            operation: TOKEN_TAKEN_OVER.name,
            actor: Actor::service(),
            request: None,
            key: None,
            input: Some(Input::Fields(fields)),
            code: "ok",
        };
        self.log.note_durable(event).await?;
        Ok(())
    }

    /// The outcome of an intent; `None` for one that leaves no trace in the store, such as a signature.
    async fn outcome_of(
        &self,
        intent: &OpenIntent,
        ends: &[(String, RecoveredOutcome)],
    ) -> Result<Option<RecoveredOutcome>, ServiceError> {
        let id = intent.text("/key/id");
        let is_one_of = |names: &[&str]| names.contains(&intent.operation.as_str());
        if is_one_of(&[KEYS_CREATE.name, KEYS_ROTATE.name]) {
            // Without a reservation nothing was begun, and without a version nothing was finished.
            let end = ends.iter().find(|(known, _)| Some(known.as_str()) == id);
            return Ok(Some(end.map_or(RecoveredOutcome::Undone, |(_, end)| *end)));
        }
        if is_one_of(&[KEYS_DESTROY_DUE.name]) {
            let id = id.and_then(|id| id.parse().ok());
            let version = id.and_then(|id| self.store.version_by_id(id));
            return Ok(match version.map(|version| (version.status.lifecycle, version.times.destroyed)) {
                Some((LifecycleState::Destroyed, Some(_))) => Some(RecoveredOutcome::Finished),
                // Begun, and the token has not confirmed yet that the record is gone.
                Some((LifecycleState::Destroyed, None)) => None,
                _ => Some(RecoveredOutcome::Undone),
            });
        }
        let marked = [
            KEYS_ACTIVATE.name,
            KEYS_RETIRE.name,
            KEYS_UNRETIRE.name,
            KEYS_DISABLE.name,
            KEYS_ENABLE.name,
            KEYS_DESTROY.name,
            KEYS_RESTORE.name,
            KEYS_SCHEDULE_SET.name,
            SERVICE_FREEZE.name,
            SERVICE_UNFREEZE.name,
        ];
        if !is_one_of(&marked) {
            return Ok(None);
        }
        let applied = self.store.is_applied(intent.receipt.seq).await.map_err(ServiceError::internal)?;
        Ok(Some(if applied { RecoveredOutcome::Finished } else { RecoveredOutcome::Undone }))
    }

    async fn reconcile(&self, reservation: Reservation) -> Result<RecoveredOutcome, ServiceError> {
        match self.custody.public_key(reservation.id) {
            Some(public_key) => {
                let completed = self.store.complete(reservation, public_key, self.clock.now()).await;
                completed.map_err(ServiceError::internal)?;
                Ok(RecoveredOutcome::Finished)
            }
            None => {
                self.store.abandon(reservation.id).await.map_err(ServiceError::internal)?;
                Ok(RecoveredOutcome::Undone)
            }
        }
    }

    fn compare_with_token(&self, recovered: &mut Recovered) {
        let versions = self.store.all_versions();
        let known: HashSet<_> = versions.iter().map(|version| version.id).collect();
        let exists = |version: &&Arc<KeyVersion>| version.status.lifecycle != LifecycleState::Destroyed;
        for version in versions.iter().filter(exists).filter(|version| !self.custody.holds(version)) {
            recovered.missing.push(format!("{} {} v{}", version.eoa, version.name, version.version));
        }
        let returned =
            versions.iter().filter(|version| !exists(version) && version.times.destroyed.is_some());
        for version in returned.filter(|version| self.custody.public_key(version.id).is_some()) {
            recovered.returned.push(format!("{} {} v{}", version.eoa, version.name, version.version));
        }
        let unclaimed = self.custody.ids().into_iter().filter(|id| !known.contains(id));
        recovered.unclaimed = unclaimed.map(|id| id.to_string()).collect();
    }
}
