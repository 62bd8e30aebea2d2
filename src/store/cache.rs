//! Handle of the store: indices in memory over a database.
//!
//! One write at a time goes to the database and then to the index, so that the index never shows what is not durable.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use hsm::StoreKey;

use super::backend::{Backend, Contents};
use super::error::StoreError;
use super::index::{AccessTokenIndex, KeyIndex};
use super::sqlite::{SqliteBackend, SqliteFile};
use crate::auth::{ChallengeKey, Policy};
use crate::key::ScheduleScope;
use crate::key::{Eoa, Freeze, KeyName, Schedule};

/// The store. Reads answer from memory unless they are asynchronous; a clone is the same store.
#[derive(Clone, Debug)]
pub struct Store(Arc<Shared>);

/// What all clones of the store share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) backend: Box<dyn Backend>,
    /// One write at a time.
    writes: tokio::sync::Mutex<()>,
    /// Where ordinary writes wait: one that only takes away comes next, however many they are.
    ordinary: tokio::sync::Mutex<()>,
    keys: RwLock<KeyIndex>,
    access_tokens: RwLock<AccessTokenIndex>,
    policies: RwLock<HashMap<(Eoa, KeyName), Arc<Policy>>>,
    schedules: RwLock<HashMap<(Eoa, ScheduleScope), Schedule>>,
    freeze: RwLock<Option<Arc<Freeze>>>,
    challenge_key: ChallengeKey,
    /// Counter of the last stamp, and when it was made.
    pub(super) stamped: Mutex<Option<(u64, Instant)>>,
}

impl Store {
    /// Opens and verifies the SQLite file at this path.
    ///
    /// # Errors
    /// When the file is missing, damaged, of another schema version, or not as this service wrote it.
    pub async fn open(path: &Path, key: Arc<StoreKey>) -> Result<Self, StoreError> {
        Self::over(Box::new(SqliteBackend::new(SqliteFile::open(path).await?, key))).await
    }

    /// The store over a database.
    ///
    /// # Errors
    /// When the database cannot be read, or is not as this service wrote it.
    pub async fn over(backend: Box<dyn Backend>) -> Result<Self, StoreError> {
        let Contents { versions, access_tokens, policies, schedules, freeze, challenge_key } =
            backend.load().await?;
        let policies = policies.into_iter().map(|(owner, name, it)| ((owner, name), Arc::new(it)));
        let schedules = schedules.into_iter().map(|(owner, scope, it)| ((owner, scope), it));
        Ok(Self(Arc::new(Shared {
            backend,
            writes: tokio::sync::Mutex::default(),
            ordinary: tokio::sync::Mutex::default(),
            keys: RwLock::new(versions.into_iter().collect()),
            access_tokens: RwLock::new(access_tokens.into_iter().collect()),
            policies: RwLock::new(policies.collect()),
            schedules: RwLock::new(schedules.collect()),
            freeze: RwLock::new(freeze.map(Arc::new)),
            challenge_key,
            stamped: Mutex::default(),
        })))
    }

    /// What authenticates login challenges.
    pub fn challenge_key(&self) -> &ChallengeKey {
        &self.0.challenge_key
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.0
    }

    /// Runs one write to its end, also when the caller goes away: database and index stay equal.
    pub(super) async fn write<T, W>(&self, work: impl FnOnce(Arc<Shared>) -> W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        self.write_in_turn(true, work).await
    }

    /// The same for a write that only takes away: it waits for one other write at most.
    pub(super) async fn write_next<T, W>(&self, work: impl FnOnce(Arc<Shared>) -> W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        self.write_in_turn(false, work).await
    }

    async fn write_in_turn<T, W>(
        &self,
        is_ordinary: bool,
        work: impl FnOnce(Arc<Shared>) -> W,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let shared = Arc::clone(&self.0);
        let work = work(Arc::clone(&shared));
        tokio::spawn(async move {
            let _ordinary = if is_ordinary { Some(shared.ordinary.lock().await) } else { None };
            let _turn = shared.writes.lock().await;
            work.await
        })
        .await?
    }
}

/// Access to one index; what a panic left is whole, because an index changes in one step.
macro_rules! index {
    ($read:ident, $write:ident, $field:ident, $type:ty) => {
        pub(super) fn $read(&self) -> RwLockReadGuard<'_, $type> {
            self.$field.read().unwrap_or_else(PoisonError::into_inner)
        }

        pub(super) fn $write(&self) -> RwLockWriteGuard<'_, $type> {
            self.$field.write().unwrap_or_else(PoisonError::into_inner)
        }
    };
}

impl Shared {
    index!(keys, keys_mut, keys, KeyIndex);
    index!(access_tokens, access_tokens_mut, access_tokens, AccessTokenIndex);
    index!(policies, policies_mut, policies, HashMap<(Eoa, KeyName), Arc<Policy>>);
    index!(freeze, freeze_mut, freeze, Option<Arc<Freeze>>);
    index!(schedules, schedules_mut, schedules, HashMap<(Eoa, ScheduleScope), Schedule>);
}
