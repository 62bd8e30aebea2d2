//! What an earlier process left half done is finished or undone before the port opens.
//!
//! A reservation whose record is in the token is finished: the key is whole, and finishing destroys nothing.
//! One without a record is given up. Records that the store does not know are reported and left alone.

use std::collections::HashSet;

use super::{CreateKey, Failure, Service, now};
use crate::audit::{Outcome, Unsettled};
use crate::key::KeyState;
use crate::store::Reservation;

/// What the start put right and what it found.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Creations that were finished.
    pub finished: usize,
    /// Creations of which nothing was made.
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
    pub async fn recover(&self, unsettled: Vec<Unsettled>) -> Result<Recovered, Failure> {
        let mut recovered = Recovered::default();
        // A key that is whole was finished, whichever process finished it.
        let mut ends: Vec<_> =
            self.store.all_versions().iter().map(|version| (version.id.to_string(), End::Finished)).collect();
        for reservation in self.store.reservations().map_err(Failure::internal)? {
            let id = reservation.id.to_string();
            let end = self.reconcile(reservation).await?;
            match end {
                End::Finished => recovered.finished += 1,
                End::Undone => recovered.undone += 1,
            }
            ends.push((id, end));
        }
        for intent in unsettled {
            let creation = intent.operation == CreateKey::NAME;
            let end = ends.iter().find(|(id, _)| creation && intent.text("/key/id") == Some(id));
            let code = match end {
                Some((_, End::Finished)) => "recovered_finished",
                Some((_, End::Undone)) => "recovered_undone",
                None => Outcome::unknown().code,
            };
            let outcome = Outcome { code, ..Outcome::unknown() };
            self.audit.settle_recovered(&intent, &outcome).await?;
        }
        let versions = self.store.all_versions();
        let known: HashSet<_> = versions.iter().map(|version| version.id).collect();
        for version in versions {
            let lives = !matches!(version.state, KeyState::Destroyed);
            if lives && !self.custody.holds(&version) {
                recovered.missing.push(format!("{} {} v{}", version.eoa, version.name, version.version));
            }
        }
        let unclaimed = self.custody.ids().into_iter().filter(|id| !known.contains(id));
        recovered.unclaimed = unclaimed.map(|id| id.to_string()).collect();
        Ok(recovered)
    }

    async fn reconcile(&self, reservation: Reservation) -> Result<End, Failure> {
        match self.custody.public_key(reservation.id) {
            Some(public_key) => {
                self.in_store(move |store| store.complete(reservation, public_key, KeyState::Active, now()))
                    .await?;
                Ok(End::Finished)
            }
            None => {
                self.in_store(move |store| store.abandon(reservation.id)).await?;
                Ok(End::Undone)
            }
        }
    }
}
