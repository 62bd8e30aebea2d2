//! SQLite behind the store: one file (WAL, `synchronous=FULL`: what was committed survives a power cut).
//!
//! SQLite blocks, so every call runs on tokio's threads for blocking work: nothing outside this module can reach
//! the connection. Not for: decisions and indices (`store`).

mod access_tokens;
mod events;
mod file;
mod keys;
mod logins;
mod objects;
mod records;
mod reserve;
mod rows;
mod schema;
mod settings;
mod transaction;
mod transitions;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use hsm::{KeyId, StoreKey};
use jiff::Timestamp;
use rusqlite::Connection;

use super::authentic::{Head, Rows};
use super::backend::{
    Backend, ChallengeUse, Contents, IntentMark, KeyChange, Login, PendingDeliveries, VersionUpdate,
};
use super::error::StoreError;
use super::key_event::{Delivery, KeyEvent, NewEvent};
use crate::auth::{AccessTokenHash, AccessTokenId, AccessTokenRecord, ChallengeKey, Policy};
use crate::key::ScheduleScope;
use crate::key::{Eoa, Freeze, KeyName, KeyVersion, Reservation, Schedule, VersionStatus};

use reserve::SharedFile;
use transaction::{Database, Verified};

pub use file::SqliteFile;
pub use records::SqliteRecords;
pub use schema::{StoreCopy, newest_change, snapshot};

/// Use of the store key that gives the key of login challenges: it rests nowhere.
const CHALLENGE_KEY: &str = "avs-kms/login challenge/1";

/// A store in one SQLite file.
#[derive(Debug)]
pub struct SqliteBackend {
    database: Database,
    key: Arc<StoreKey>,
}

impl SqliteBackend {
    /// Creates a store without rows, with these wrapped records, label and value. Blocks.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn create(path: &Path, key: Arc<StoreKey>, records: &[(String, Vec<u8>)]) -> Result<(), StoreError> {
        schema::create(path, &Rows::new(key), records)
    }

    /// The store in this file; [`load`](Backend::load) verifies it.
    pub fn new(file: SqliteFile, key: Arc<StoreKey>) -> Self {
        let rows = Rows::new(Arc::clone(&key));
        Self { database: Database::over(Verified { file: file.0, rows }), key }
    }

    /// A store that is empty and gone with the process: for commands that record something and read no key.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn in_memory(key: Arc<StoreKey>) -> Result<Self, StoreError> {
        let (mut connection, rows) = (Connection::open_in_memory()?, Rows::new(Arc::clone(&key)));
        schema::fill(&mut connection, &rows)?;
        let file = SharedFile::over(connection);
        Ok(Self { database: Database::over(Verified { file, rows }), key })
    }
}

#[async_trait]
impl Backend for SqliteBackend {
    async fn load(&self) -> Result<Contents, StoreError> {
        self.database
            .read(|connection, rows| {
                let contents = Contents {
                    versions: keys::load(connection, rows)?,
                    access_tokens: access_tokens::load(connection, rows)?,
                    policies: settings::load_policies(connection, rows)?,
                    schedules: settings::load_schedules(connection, rows)?,
                    freeze: settings::load_freeze(connection, rows)?,
                    challenge_key: ChallengeKey::new(*rows.key().derive(CHALLENGE_KEY)),
                };
                keys::load_reservations(connection, rows)?;
                logins::load_used(connection, rows)?;
                transitions::load_applied(connection, rows)?;
                let (head, mac) = schema::head(connection)?;
                if schema::installation(connection)? != rows.key().installation() {
                    return Err(StoreError::OtherInstallation);
                }
                rows.loaded(head, &mac)?;
                Ok(contents)
            })
            .await
    }

    fn head(&self) -> Head {
        self.database.head()
    }

    fn key(&self) -> &StoreKey {
        &self.key
    }

    async fn descends_from(&self, counter: u64, chain: [u8; 32]) -> Result<bool, StoreError> {
        self.database
            .read(move |connection, rows| {
                let changes = schema::changes_after(connection, counter)?;
                Ok(rows.head().0.counter >= counter && rows.descends(chain, changes.into_iter()))
            })
            .await
    }

    async fn skip_to(&self, counter: u64) -> Result<(), StoreError> {
        self.database
            .run(move |_, rows| {
                rows.skip_to(counter);
                Ok(())
            })
            .await
    }

    async fn reserve(&self, reservation: Reservation, at: Timestamp) -> Result<(), StoreError> {
        self.database.run(move |connection, rows| keys::reserve(connection, rows, &reservation, at)).await
    }

    async fn complete(&self, version: Arc<KeyVersion>, events: Vec<NewEvent>) -> Result<(), StoreError> {
        self.database
            .run(move |connection, rows| {
                keys::complete(connection, rows, &version)?;
                events.iter().try_for_each(|event| events::insert(connection, event, version.times.created))
            })
            .await
    }

    async fn abandon(&self, id: KeyId) -> Result<(), StoreError> {
        self.database.run(move |connection, rows| keys::abandon(connection, rows, id)).await
    }

    async fn reservations(&self) -> Result<Vec<Reservation>, StoreError> {
        self.database.read(keys::reservations).await
    }

    async fn change(&self, change: KeyChange) -> Result<(), StoreError> {
        let only_disables = change.updates.iter().all(|VersionUpdate { from, version }| {
            version.status == VersionStatus { disabled: true, ..*from }
        });
        let work =
            move |connection: &Connection, rows: &mut Rows| transitions::change(connection, rows, &change);
        if only_disables { self.database.run_on_full_disk(work).await } else { self.database.run(work).await }
    }

    async fn set_registration(&self, version: Arc<KeyVersion>) -> Result<(), StoreError> {
        self.database
            .run(move |connection, rows| transitions::set_registration(connection, rows, &version))
            .await
    }

    async fn is_applied(&self, mark: IntentMark) -> Result<bool, StoreError> {
        self.database.read(move |_, rows| Ok(transitions::is_applied(rows, mark))).await
    }

    async fn clear_applied_intents(&self) -> Result<(), StoreError> {
        self.database.run_on_full_disk(transitions::clear_applied_intents).await
    }

    async fn set_schedule(
        &self,
        owner: Eoa,
        scope: ScheduleScope,
        schedule: Option<Schedule>,
        intent: u64,
    ) -> Result<(), StoreError> {
        self.database
            .run(move |connection, rows| {
                settings::set_schedule(connection, rows, &owner, &scope, schedule.as_ref())?;
                transitions::mark(connection, rows, IntentMark::Applied(intent))
            })
            .await
    }

    async fn set_freeze(&self, freeze: Option<Freeze>, mark: IntentMark) -> Result<(), StoreError> {
        let freezes = freeze.is_some();
        let work = move |connection: &Connection, rows: &mut Rows| {
            settings::set_freeze(connection, rows, freeze.as_ref())?;
            transitions::mark(connection, rows, mark)
        };
        if freezes { self.database.run_on_full_disk(work).await } else { self.database.run(work).await }
    }

    async fn set_policy(&self, owner: Eoa, name: KeyName, policy: Policy) -> Result<(), StoreError> {
        self.database
            .run(move |connection, rows| settings::set_policy(connection, rows, &owner, &name, &policy))
            .await
    }

    async fn insert_access_tokens(
        &self,
        issued: Vec<(AccessTokenHash, AccessTokenRecord)>,
    ) -> Result<(), StoreError> {
        self.database
            .run(move |connection, rows| {
                let mut each = issued.iter();
                each.try_for_each(|(hash, record)| access_tokens::insert(connection, rows, hash, record))
            })
            .await
    }

    async fn revoke_access_tokens(
        &self,
        revoked: Vec<(AccessTokenHash, AccessTokenRecord)>,
        mark: Option<IntentMark>,
    ) -> Result<(), StoreError> {
        self.database
            .run_on_full_disk(move |connection, rows| {
                access_tokens::revoke(connection, rows, &revoked)?;
                mark.map_or(Ok(()), |mark| transitions::mark(connection, rows, mark))
            })
            .await
    }

    async fn set_last_use(&self, id: AccessTokenId, at: Timestamp) -> Result<(), StoreError> {
        self.database.run(move |connection, _| access_tokens::set_last_use(connection, &id, at)).await
    }

    async fn delete_access_tokens(&self, hashes: Vec<AccessTokenHash>) -> Result<(), StoreError> {
        self.database
            .run_on_full_disk(move |connection, rows| access_tokens::delete(connection, rows, &hashes))
            .await
    }

    async fn is_challenge_used(&self, nonce: [u8; 32]) -> Result<bool, StoreError> {
        self.database.read(move |_, rows| Ok(logins::is_used(rows, &nonce))).await
    }

    async fn log_in(&self, login: Login) -> Result<ChallengeUse, StoreError> {
        self.database.run(move |connection, rows| logins::log_in(connection, rows, &login)).await
    }

    async fn append_event(&self, event: NewEvent, at: Timestamp) -> Result<(), StoreError> {
        self.database.run(move |connection, _| events::insert(connection, &event, at)).await
    }

    async fn events(
        &self,
        owner: Option<Eoa>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<KeyEvent>, StoreError> {
        self.database.read(move |connection, _| events::read(connection, owner.as_ref(), after, limit)).await
    }

    async fn set_webhooks(&self, webhooks: Vec<String>) -> Result<(), StoreError> {
        self.database.run_on_full_disk(move |connection, _| events::set_webhooks(connection, &webhooks)).await
    }

    async fn due_deliveries(&self, webhook: String, now: Timestamp) -> Result<Vec<Delivery>, StoreError> {
        self.database.read(move |connection, _| events::due_deliveries(connection, &webhook, now)).await
    }

    async fn delivered(&self, delivery: Delivery) -> Result<(), StoreError> {
        self.database.run(move |connection, _| events::delivered(connection, &delivery)).await
    }

    async fn retry_delivery(&self, delivery: Delivery, due_at: Timestamp) -> Result<(), StoreError> {
        self.database.run(move |connection, _| events::retry(connection, &delivery, due_at)).await
    }

    async fn pending_deliveries(&self) -> Result<PendingDeliveries, StoreError> {
        self.database.read(|connection, _| events::pending(connection)).await
    }
}

#[cfg(test)]
mod tests;
