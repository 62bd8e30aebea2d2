//! What an earlier process left half done is finished or undone before the port opens.
//!
//! A status change is one transaction, which says by the number of its intent whether it was made. A destruction
//! that was begun goes on. A reservation whose record is in the token is finished: the key is whole, and finishing destroys nothing.
//! One without a record is given up. Records that the store does not know are reported and left alone.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::key::Reservation;
use crate::key::{LifecycleAction, LifecycleState};
use crate::request_id::RequestId;
use crate::service::{ChangeKey, Context, CreateKey, RotateKey, Service, ServiceError, SetSchedule};
use crate::store::Store;
use audit_log::{OpenIntent, Outcome};

/// How long the token may take to destroy one record at the start.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the start put right and what it found.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Operations that were finished.
    pub finished: usize,
    /// Operations of which nothing was made.
    pub undone: usize,
    /// Versions that the store knows and the token does not hold (as the same owner's same key).
    pub missing: Vec<String>,
    /// Records in the token that no version names.
    pub unclaimed: Vec<String>,
}

/// How one reservation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Finished,
    Undone,
}

impl Service {
    /// Settles everything that is open. Runs once, before the first request.
    ///
    /// # Errors
    /// When the store or the log cannot be written.
    pub async fn recover(&self, open_intents: Vec<OpenIntent>) -> Result<Recovered, ServiceError> {
        let mut recovered = Recovered::default();
        // A key that is whole was finished, whichever process finished it.
        let mut ends: Vec<_> =
            self.store.all_versions().iter().map(|version| (version.id.to_string(), End::Finished)).collect();
        for reservation in self.store.reservations().map_err(ServiceError::internal)? {
            let id = reservation.id.to_string();
            let end = self.reconcile(reservation).await?;
            match end {
                End::Finished => recovered.finished += 1,
                End::Undone => recovered.undone += 1,
            }
            ends.push((id, end));
        }
        for version in self.store.half_destroyed() {
            let request = RequestId::random().map_err(ServiceError::internal)?;
            // What the token refuses now is tried again by the scheduler: the service starts without it.
            match self.destroy_version(Context::service(request), &version, Instant::now() + PATIENCE).await {
                Ok(_) => recovered.finished += 1,
                Err(failure) => {
                    tracing::error!(cause = failure.cause(), "a destruction was not finished: {failure}")
                }
            }
        }
        for intent in open_intents {
            let end = self.end_of(&intent, &ends)?;
            let code = match end {
                Some(End::Finished) => "recovered_applied",
                Some(End::Undone) => "recovered_not_applied",
                None => Outcome::unknown().code,
            };
            let outcome = Outcome { code, ..Outcome::unknown() };
            self.audit.record_recovered(&intent, &outcome).await?;
        }
        self.in_store(Store::forget_made).await?;
        let versions = self.store.all_versions();
        let known: HashSet<_> = versions.iter().map(|version| version.id).collect();
        for version in versions {
            let lives = version.status.lifecycle != LifecycleState::Destroyed;
            if lives && !self.custody.holds(&version) {
                recovered.missing.push(format!("{} {} v{}", version.eoa, version.name, version.version));
            }
        }
        let unclaimed = self.custody.ids().into_iter().filter(|id| !known.contains(id));
        recovered.unclaimed = unclaimed.map(|id| id.to_string()).collect();
        Ok(recovered)
    }

    /// How the operation of an intent ended; none for one that leaves no trace here, such as a signature.
    fn end_of(&self, intent: &OpenIntent, ends: &[(String, End)]) -> Result<Option<End>, ServiceError> {
        let id = intent.text("/key/id");
        let operation = intent.operation.as_str();
        if [CreateKey::NAME, RotateKey::NAME].contains(&operation) {
            // Without a reservation nothing was begun, and without a version nothing was finished.
            let end = ends.iter().find(|(known, _)| Some(known.as_str()) == id);
            return Ok(Some(end.map_or(End::Undone, |(_, end)| *end)));
        }
        if operation == ChangeKey::operation(LifecycleAction::Destroy) {
            let id = id.and_then(|id| id.parse().ok());
            let version = id.and_then(|id| self.store.by_id(id));
            return Ok(match version.map(|version| (version.status.lifecycle, version.times.destroyed)) {
                Some((LifecycleState::Destroyed, Some(_))) => Some(End::Finished),
                // Begun, and the token has not said yet that the record is gone.
                Some((LifecycleState::Destroyed, None)) => None,
                _ => Some(End::Undone),
            });
        }
        let changes = [
            LifecycleAction::Activate,
            LifecycleAction::Retire,
            LifecycleAction::Disable,
            LifecycleAction::Enable,
            LifecycleAction::ScheduleDestroy,
            LifecycleAction::Restore,
        ];
        let known = changes.map(ChangeKey::operation).contains(&operation) || operation == SetSchedule::NAME;
        if !known {
            return Ok(None);
        }
        let made = self.store.was_made(intent.receipt.seq).map_err(ServiceError::internal)?;
        Ok(Some(if made { End::Finished } else { End::Undone }))
    }

    async fn reconcile(&self, reservation: Reservation) -> Result<End, ServiceError> {
        match self.custody.public_key(reservation.id) {
            Some(public_key) => {
                let now = self.now();
                self.in_store(move |store| store.complete(reservation, public_key, now)).await?;
                Ok(End::Finished)
            }
            None => {
                self.in_store(move |store| store.abandon(reservation.id)).await?;
                Ok(End::Undone)
            }
        }
    }
}
