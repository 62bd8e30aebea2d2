//! SQLite behind the store: one file (WAL, `synchronous=FULL`: what was committed survives a power cut).
//!
//! SQLite blocks, so every call runs on tokio's threads for blocking work: nothing outside this module can reach
//! the connection. Not for: decisions and indices (`store`).

mod access_tokens;
mod events;
mod keys;
mod logins;
mod rows;
mod schema;
mod settings;
mod transitions;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use hsm::KeyId;
use jiff::Timestamp;
use rusqlite::Connection;

use super::backend::{Backend, ChallengeUse, Contents, KeyChange, Login, PendingDeliveries};
use super::error::StoreError;
use super::key_event::{Delivery, KeyEvent, NewEvent};
use crate::auth::{AccessTokenHash, AccessTokenId, AccessTokenRecord, Policy, Subject};
use crate::key::ScheduleScope;
use crate::key::{Eoa, KeyName, KeyVersion, Registration, Reservation, Schedule};

pub use schema::snapshot;

/// A store in one SQLite file.
#[derive(Debug)]
pub struct SqliteBackend(Arc<Mutex<Connection>>);

impl SqliteBackend {
    /// Creates an empty store. Blocks.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn create(path: &Path) -> Result<(), StoreError> {
        schema::create(path)
    }

    /// Opens an existing store.
    ///
    /// # Errors
    /// When the file is missing, damaged or of another schema version.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let path = path.to_owned();
        let connection = tokio::task::spawn_blocking(move || schema::open(&path)).await??;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Runs one transaction on a thread for blocking work.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let connection = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || {
            // A panic under the lock left SQLite's transaction rolled back: the connection is good.
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = connection.transaction()?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        })
        .await?
    }
}

#[async_trait]
impl Backend for SqliteBackend {
    async fn load(&self) -> Result<Contents, StoreError> {
        self.run(|connection| {
            Ok(Contents {
                versions: keys::load(connection)?,
                access_tokens: access_tokens::load(connection)?,
                policies: settings::load_policies(connection)?,
                schedules: settings::load_schedules(connection)?,
                challenge_key: logins::challenge_key(connection)?,
            })
        })
        .await
    }

    async fn reserve(&self, reservation: Reservation, at: Timestamp) -> Result<(), StoreError> {
        self.run(move |connection| keys::reserve(connection, &reservation, at)).await
    }

    async fn complete(&self, version: Arc<KeyVersion>, events: Vec<NewEvent>) -> Result<(), StoreError> {
        self.run(move |connection| {
            keys::complete(connection, &version)?;
            events.iter().try_for_each(|event| events::insert(connection, event, version.times.created))
        })
        .await
    }

    async fn abandon(&self, id: KeyId) -> Result<(), StoreError> {
        self.run(move |connection| keys::abandon(connection, id)).await
    }

    async fn reservations(&self) -> Result<Vec<Reservation>, StoreError> {
        self.run(keys::reservations).await
    }

    async fn change(&self, change: KeyChange) -> Result<(), StoreError> {
        self.run(move |connection| transitions::change(connection, &change)).await
    }

    async fn set_registration(&self, id: KeyId, registration: Registration) -> Result<(), StoreError> {
        self.run(move |connection| transitions::set_registration(connection, id, registration)).await
    }

    async fn is_applied(&self, intent: u64) -> Result<bool, StoreError> {
        self.run(move |connection| transitions::is_applied(connection, intent)).await
    }

    async fn clear_applied_intents(&self) -> Result<(), StoreError> {
        self.run(transitions::clear_applied_intents).await
    }

    async fn set_schedule(
        &self,
        owner: Eoa,
        scope: ScheduleScope,
        schedule: Option<Schedule>,
        intent: u64,
    ) -> Result<(), StoreError> {
        self.run(move |connection| {
            settings::set_schedule(connection, &owner, &scope, schedule.as_ref())?;
            transitions::mark(connection, intent)
        })
        .await
    }

    async fn set_policy(&self, owner: Eoa, name: KeyName, policy: Policy) -> Result<(), StoreError> {
        self.run(move |connection| settings::set_policy(connection, &owner, &name, &policy)).await
    }

    async fn insert_access_token(
        &self,
        hash: AccessTokenHash,
        record: AccessTokenRecord,
    ) -> Result<(), StoreError> {
        self.run(move |connection| access_tokens::insert(connection, &hash, &record)).await
    }

    async fn revoke_access_token(&self, id: AccessTokenId, at: Timestamp) -> Result<bool, StoreError> {
        self.run(move |connection| access_tokens::revoke(connection, &id, at)).await
    }

    async fn revoke_access_tokens_of(&self, subject: Subject, at: Timestamp) -> Result<(), StoreError> {
        self.run(move |connection| access_tokens::revoke_all_of(connection, subject, at)).await
    }

    async fn set_last_use(&self, id: AccessTokenId, at: Timestamp) -> Result<(), StoreError> {
        self.run(move |connection| access_tokens::set_last_use(connection, &id, at)).await
    }

    async fn delete_access_tokens(&self, hashes: Vec<AccessTokenHash>) -> Result<(), StoreError> {
        self.run(move |connection| access_tokens::delete(connection, &hashes)).await
    }

    async fn is_challenge_used(&self, nonce: [u8; 32]) -> Result<bool, StoreError> {
        self.run(move |connection| logins::is_used(connection, &nonce)).await
    }

    async fn log_in(&self, login: Login) -> Result<ChallengeUse, StoreError> {
        self.run(move |connection| logins::log_in(connection, &login)).await
    }

    async fn append_event(&self, event: NewEvent, at: Timestamp) -> Result<(), StoreError> {
        self.run(move |connection| events::insert(connection, &event, at)).await
    }

    async fn events(
        &self,
        owner: Option<Eoa>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<KeyEvent>, StoreError> {
        self.run(move |connection| events::read(connection, owner.as_ref(), after, limit)).await
    }

    async fn set_webhooks(&self, webhooks: Vec<String>) -> Result<(), StoreError> {
        self.run(move |connection| events::set_webhooks(connection, &webhooks)).await
    }

    async fn due_deliveries(&self, webhook: String, now: Timestamp) -> Result<Vec<Delivery>, StoreError> {
        self.run(move |connection| events::due_deliveries(connection, &webhook, now)).await
    }

    async fn delivered(&self, delivery: Delivery) -> Result<(), StoreError> {
        self.run(move |connection| events::delivered(connection, &delivery)).await
    }

    async fn retry_delivery(&self, delivery: Delivery, due_at: Timestamp) -> Result<(), StoreError> {
        self.run(move |connection| events::retry(connection, &delivery, due_at)).await
    }

    async fn pending_deliveries(&self) -> Result<PendingDeliveries, StoreError> {
        self.run(events::pending).await
    }
}

#[cfg(test)]
mod tests;
