//! Key versions: reserved before the token makes the key, completed after.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use hsm::{G1Point, G2Point, KeyId, PublicKey};
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use thiserror::Error;

use super::{Store, StoreError};
use crate::key::{Eoa, KeyName, KeyState, Version, VersionSelector};

/// One version of a key that exists in the token.
#[derive(Clone, Debug)]
pub struct KeyVersion {
    /// Its record in the token.
    pub id: KeyId,
    /// Its owner.
    pub eoa: Eoa,
    /// Its name among the owner's keys.
    pub name: KeyName,
    /// Its number.
    pub version: Version,
    /// What may be done with it.
    pub state: KeyState,
    /// Its public key.
    pub public_key: PublicKey,
    /// When its creation was complete; whole seconds.
    pub created_at: Timestamp,
}

/// A version whose creation was begun. It has a number and an id, and nobody was told of it.
#[derive(Clone, Debug)]
pub struct Reservation {
    /// The record in the token that there may be.
    pub id: KeyId,
    /// The owner.
    pub eoa: Eoa,
    /// The name.
    pub name: KeyName,
    /// The number.
    pub version: Version,
}

/// What was asked for does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoSuchVersion {
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
            "SELECT id, eoa, name, version, state, g1, g2, created_at FROM key_version
             WHERE g1 IS NOT NULL ORDER BY version",
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
}

impl Store {
    /// Reserves a version of a key before the token makes it. Durable when it returns.
    ///
    /// # Errors
    /// When this version is there already, or SQLite fails.
    pub fn reserve(&self, reservation: &Reservation, now: Timestamp) -> Result<(), StoreError> {
        self.connection().execute(
            "INSERT INTO key_version (id, eoa, name, version, state, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                reservation.id.to_bytes(),
                reservation.eoa.as_bytes(),
                reservation.name.as_str(),
                reservation.version.number(),
                KeyState::Pending.as_str(),
                now.as_second(),
            ],
        )?;
        Ok(())
    }

    /// Completes a reserved version: from here on it exists. Durable when it returns.
    ///
    /// # Errors
    /// When there is no such reservation, or SQLite fails.
    pub fn complete(
        &self,
        reservation: Reservation,
        public_key: PublicKey,
        state: KeyState,
        now: Timestamp,
    ) -> Result<Arc<KeyVersion>, StoreError> {
        let Reservation { id, eoa, name, version } = reservation;
        let connection = self.connection();
        let changed = connection.execute(
            "UPDATE key_version SET state = ?2, g1 = ?3, g2 = ?4, created_at = ?5 WHERE id = ?1 AND g1 IS NULL",
            params![
                id.to_bytes(),
                state.as_str(),
                public_key.g1.to_bytes(),
                public_key.g2.to_bytes(),
                now.as_second(),
            ],
        )?;
        if changed != 1 {
            return Err(StoreError::Corrupt(format!("no reservation for key record {id}")));
        }
        let created_at = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let version = Arc::new(KeyVersion { id, eoa, name, version, state, public_key, created_at });
        self.keys.write().unwrap_or_else(PoisonError::into_inner).insert(Arc::clone(&version));
        Ok(version)
    }

    /// Gives a reservation up: nothing was made for it.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn abandon(&self, id: KeyId) -> Result<(), StoreError> {
        let sql = "DELETE FROM key_version WHERE id = ?1 AND g1 IS NULL";
        self.connection().execute(sql, params![id.to_bytes()])?;
        Ok(())
    }

    /// Reservations that an earlier process left.
    ///
    /// # Errors
    /// When SQLite fails or a row makes no sense.
    pub fn reservations(&self) -> Result<Vec<Reservation>, StoreError> {
        let connection = self.connection();
        let mut statement =
            connection.prepare("SELECT id, eoa, name, version FROM key_version WHERE g1 IS NULL")?;
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
    ) -> Result<Arc<KeyVersion>, NoSuchVersion> {
        let index = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let versions = index.0.get(eoa).and_then(|names| names.get(name)).ok_or(NoSuchVersion::Key)?;
        let in_state = |state| versions.iter().rfind(|version| version.state == state);
        let found = match selector {
            VersionSelector::Current => in_state(KeyState::Active),
            VersionSelector::Next => in_state(KeyState::Pending),
            VersionSelector::Number(number) => versions.iter().find(|version| version.version == number),
        };
        found.map(Arc::clone).ok_or(NoSuchVersion::Version)
    }

    /// Every version of one key, newest first; empty if there is no such key.
    pub fn versions_of_key(&self, eoa: &Eoa, name: &KeyName) -> Vec<Arc<KeyVersion>> {
        let index = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let versions = index.0.get(eoa).and_then(|names| names.get(name));
        versions.into_iter().flatten().rev().cloned().collect()
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

fn reservation_from(row: &Row<'_>) -> Result<Reservation, StoreError> {
    let name: String = row.get("name")?;
    let number: u32 = row.get("version")?;
    Ok(Reservation {
        id: KeyId::from_bytes(row.get("id")?),
        eoa: Eoa::new(row.get("eoa")?),
        name: name.parse().map_err(|_| corrupt("name", &name))?,
        version: Version::new(number).ok_or_else(|| corrupt("version", "0"))?,
    })
}

fn version_from(row: &Row<'_>) -> Result<KeyVersion, StoreError> {
    let Reservation { id, eoa, name, version } = reservation_from(row)?;
    let state: String = row.get("state")?;
    let g1 = G1Point::from_bytes(&row.get("g1")?).map_err(|error| corrupt("g1", &error.to_string()))?;
    let g2 = G2Point::from_bytes(&row.get("g2")?).map_err(|error| corrupt("g2", &error.to_string()))?;
    Ok(KeyVersion {
        id,
        eoa,
        name,
        version,
        state: state.parse().map_err(|_| corrupt("state", &state))?,
        public_key: PublicKey { g1, g2 },
        created_at: super::tokens::timestamp(row, "created_at")?,
    })
}

fn corrupt(column: &str, what: &str) -> StoreError {
    StoreError::Corrupt(format!("column {column}: {what}"))
}
