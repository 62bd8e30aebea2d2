//! Key versions: reserved before the token makes the key, completed after.

mod rows;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use hsm::{KeyId, PublicKey};
use jiff::Timestamp;
use rusqlite::{Connection, params};
use thiserror::Error;

use super::events::{NewEvent, insert_event};
use super::{Store, StoreError};
use crate::key::{
    Eoa, EventKind, KeyLifecycle, KeyName, KeyVersion, LifecycleState, Reservation, VersionSelector,
    VersionStatus, VersionTimestamps,
};
pub(super) use rows::whole;
use rows::{insert_binding, reservation_from, version_from};

/// What was asked for does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum VersionNotFound {
    /// The EOA has no key of this name.
    #[error("this EOA has no key of this name; create it with POST /v1/keys")]
    Key,
    /// The key has no such version.
    #[error("the key has no such version")]
    Version,
}

/// Versions of each key, oldest first.
#[derive(Debug, Default)]
pub(super) struct Index(HashMap<Eoa, HashMap<KeyName, Vec<Arc<KeyVersion>>>>);

impl Index {
    pub(super) fn load(connection: &Connection) -> Result<Self, StoreError> {
        let mut index = Self::default();
        let mut statement = connection.prepare(
            "SELECT * FROM key_version LEFT JOIN binding USING (id) WHERE g1 IS NOT NULL ORDER BY version",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            index.insert(Arc::new(version_from(row)?));
        }
        Ok(index)
    }

    fn insert(&mut self, version: Arc<KeyVersion>) {
        let names = self.0.entry(version.eoa).or_default();
        names.entry(version.name.clone()).or_default().push(version);
    }

    /// The versions of a key, to be replaced.
    pub(super) fn versions_mut(&mut self, eoa: &Eoa, name: &KeyName) -> Option<&mut Vec<Arc<KeyVersion>>> {
        self.0.get_mut(eoa)?.get_mut(name)
    }
}

impl Store {
    /// Reserves a version of a key before the token makes it. Durable when it returns.
    ///
    /// # Errors
    /// When this version is there already, or SQLite fails.
    pub fn reserve(&self, reservation: &Reservation, now: Timestamp) -> Result<(), StoreError> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        // What an earlier attempt reserved under this id is reserved anew: a repetition may name another place.
        transaction.execute(
            "DELETE FROM binding WHERE id IN (SELECT id FROM key_version WHERE id = ?1 AND g1 IS NULL)",
            params![reservation.id.to_bytes()],
        )?;
        transaction.execute(
            "DELETE FROM key_version WHERE id = ?1 AND g1 IS NULL",
            params![reservation.id.to_bytes()],
        )?;
        transaction.execute(
            "INSERT INTO key_version (id, eoa, name, version, state, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                reservation.id.to_bytes(),
                reservation.eoa.as_bytes(),
                reservation.name.as_str(),
                reservation.version.number(),
                LifecycleState::Pending.as_str(),
                now.as_second(),
            ],
        )?;
        if let Some(binding) = &reservation.binding {
            insert_binding(&transaction, reservation.id, binding)?;
        }
        Ok(transaction.commit()?)
    }

    /// Completes a reserved version: from here on it exists. The first one of a key is current at once, every other is
    /// pending. Durable when it returns, with its events.
    ///
    /// # Errors
    /// When there is no such reservation, or SQLite fails.
    pub fn complete(
        &self,
        reservation: Reservation,
        public_key: PublicKey,
        now: Timestamp,
    ) -> Result<Arc<KeyVersion>, StoreError> {
        let Reservation { id, eoa, name, version, binding } = reservation;
        let now = whole(now);
        let first = self.versions_of_key(&eoa, &name).is_empty();
        let lifecycle = if first { LifecycleState::Active } else { LifecycleState::Pending };
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        let changed = transaction.execute(
            "UPDATE key_version SET state = ?2, g1 = ?3, g2 = ?4, created_at = ?5, activated_at = ?6
             WHERE id = ?1 AND g1 IS NULL",
            params![
                id.to_bytes(),
                lifecycle.as_str(),
                public_key.g1.to_bytes(),
                public_key.g2.to_bytes(),
                now.as_second(),
                first.then_some(now.as_second()),
            ],
        )?;
        if changed != 1 {
            return Err(StoreError::Corrupt(format!("no reservation for key record {id}")));
        }
        let times = VersionTimestamps {
            created: now,
            activated: first.then_some(now),
            superseded: None,
            retired: None,
            destroy: None,
            destroyed: None,
            announced: None,
        };
        let status = VersionStatus::new(lifecycle);
        let version =
            KeyVersion { id, eoa, name, version, status, public_key, binding, registration: None, times };
        insert_event(&transaction, &NewEvent::of(EventKind::VersionCreated, &version), now)?;
        if first {
            insert_event(&transaction, &NewEvent::of(EventKind::VersionActivated, &version), now)?;
        }
        transaction.commit()?;
        let version = Arc::new(version);
        self.keys.write().unwrap_or_else(PoisonError::into_inner).insert(Arc::clone(&version));
        Ok(version)
    }

    /// Gives a reservation up: nothing was made for it.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn abandon(&self, id: KeyId) -> Result<(), StoreError> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        let sql = "DELETE FROM key_version WHERE id = ?1 AND g1 IS NULL";
        if transaction.execute(sql, params![id.to_bytes()])? > 0 {
            transaction.execute("DELETE FROM binding WHERE id = ?1", params![id.to_bytes()])?;
        }
        Ok(transaction.commit()?)
    }

    /// Reservations that an earlier process left.
    ///
    /// # Errors
    /// When SQLite fails or a row makes no sense.
    pub fn reservations(&self) -> Result<Vec<Reservation>, StoreError> {
        let connection = self.connection();
        let mut statement =
            connection.prepare("SELECT * FROM key_version LEFT JOIN binding USING (id) WHERE g1 IS NULL")?;
        let mut rows = statement.query([])?;
        let mut reservations = Vec::new();
        while let Some(row) = rows.next()? {
            reservations.push(reservation_from(row)?);
        }
        Ok(reservations)
    }

    /// The version that a request means.
    ///
    /// # Errors
    /// Whether the key or only the version is missing.
    pub fn version(
        &self,
        eoa: &Eoa,
        name: &KeyName,
        selector: VersionSelector,
    ) -> Result<Arc<KeyVersion>, VersionNotFound> {
        let index = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let versions = index.0.get(eoa).and_then(|names| names.get(name)).ok_or(VersionNotFound::Key)?;
        let in_state = |lifecycle| versions.iter().rfind(|version| version.status.lifecycle == lifecycle);
        let found = match selector {
            VersionSelector::Current => in_state(LifecycleState::Active),
            VersionSelector::Next => versions.iter().rfind(|version| {
                version.status.lifecycle == LifecycleState::Pending && !version.status.destruction_scheduled
            }),
            VersionSelector::ActiveAt(second) => {
                versions.iter().find(|version| version.was_active_at(second))
            }
            VersionSelector::Number(number) => versions.iter().find(|version| version.version == number),
        };
        found.map(Arc::clone).ok_or(VersionNotFound::Version)
    }

    /// Every version of one key, newest first; empty if there is no such key.
    pub fn versions_of_key(&self, eoa: &Eoa, name: &KeyName) -> Vec<Arc<KeyVersion>> {
        let index = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let versions = index.0.get(eoa).and_then(|names| names.get(name));
        versions.into_iter().flatten().rev().cloned().collect()
    }

    /// Where every version of a key stands; empty if there is no such key.
    pub fn lifecycle(&self, eoa: &Eoa, name: &KeyName) -> KeyLifecycle {
        let versions = self.versions_of_key(eoa, name);
        KeyLifecycle(versions.iter().map(|version| (version.version, version.status)).collect())
    }

    /// Every version of every key of an EOA: by name, newest version first.
    pub fn versions_of_eoa(&self, eoa: &Eoa) -> Vec<Arc<KeyVersion>> {
        let index = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let mut versions: Vec<_> =
            index.0.get(eoa).into_iter().flat_map(HashMap::values).flatten().cloned().collect();
        versions.sort_by(|a, b| (&a.name, b.version).cmp(&(&b.name, a.version)));
        versions
    }

    /// Every version of every key, in no order.
    pub fn all_versions(&self) -> Vec<Arc<KeyVersion>> {
        let index = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        index.0.values().flat_map(HashMap::values).flatten().cloned().collect()
    }
}
