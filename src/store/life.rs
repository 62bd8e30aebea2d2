//! Changes of status: all transitions of one update, their events and the mark of its intent in one transaction.
//!
//! Not for: which changes there are (`key`).

use std::sync::{Arc, PoisonError};

use hsm::KeyId;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::events::{NewEvent, insert_event};
use super::keys::whole;
use super::{Store, StoreError};
use crate::key::{
    Eoa, EventKind, KeyName, KeyVersion, KeyVersionNumber, LifecycleState, Registration, Transition,
};

/// A change of a key, decided and recorded.
#[derive(Clone, Debug)]
pub struct LifecycleUpdate {
    /// The owner.
    pub eoa: Eoa,
    /// The name.
    pub name: KeyName,
    /// What changes, in this order.
    pub transitions: Vec<Transition>,
    /// The audit log's number of the intent.
    pub intent: u64,
    /// When.
    pub at: Timestamp,
    /// For what is scheduled to be destroyed: when.
    pub destroy_at: Option<Timestamp>,
    /// Why, in the words of who asked.
    pub reason: Option<String>,
}

impl Store {
    /// Makes a change, or nothing of it. Durable when it returns; gives the versions that changed, as they are now.
    ///
    /// # Errors
    /// When a version does not stand where the change begins, or SQLite fails.
    pub fn apply(&self, batch: &LifecycleUpdate) -> Result<Vec<Arc<KeyVersion>>, StoreError> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        let versions = self.versions_of_key(&batch.eoa, &batch.name);
        let mut changed = Vec::new();
        for transition in &batch.transitions {
            let known = versions.iter().find(|known| known.version == transition.version);
            let known = known.filter(|known| known.status == transition.from).ok_or_else(|| {
                StoreError::Corrupt(format!(
                    "version {} does not stand where it was to be changed",
                    transition.version
                ))
            })?;
            let after = after(known, transition, batch);
            update(&transaction, &after)?;
            if let Some(kind) = transition.event() {
                let event = NewEvent::of(kind, &after).because(batch.reason.as_deref());
                insert_event(&transaction, &event, batch.at)?;
            }
            changed.push(Arc::new(after));
        }
        transaction.execute("INSERT INTO change (intent) VALUES (?1)", params![batch.intent])?;
        transaction.commit()?;
        self.replace(&changed);
        Ok(changed)
    }

    /// The token confirmed that a destroyed version's record is gone. Durable when it returns.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn confirm_destroyed(
        &self,
        version: &KeyVersion,
        at: Timestamp,
    ) -> Result<Arc<KeyVersion>, StoreError> {
        let mut after = self.newest(version);
        after.times.destroyed = Some(whole(at));
        self.write_with_event(after, Some(EventKind::Destroyed), at)
    }

    /// The rotation that ends this version's time was announced. Durable when it returns.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn announce(
        &self,
        version: &KeyVersion,
        due_at: Timestamp,
        at: Timestamp,
    ) -> Result<Arc<KeyVersion>, StoreError> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        let mut after = self.newest(version);
        after.times.announced = Some(whole(at));
        update(&transaction, &after)?;
        let event = NewEvent::of(EventKind::RotationDue, &after).with("due_at", due_at.to_string());
        insert_event(&transaction, &event, at)?;
        transaction.commit()?;
        let after = Arc::new(after);
        self.replace(std::slice::from_ref(&after));
        Ok(after)
    }

    /// A scheduled change failed: clients are told. Durable when it returns.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn rotation_failed(&self, version: &KeyVersion, why: &str, at: Timestamp) -> Result<(), StoreError> {
        let event = NewEvent::of(EventKind::RotationFailed, version).because(Some(why));
        insert_event(&self.connection(), &event, at)
    }

    /// Keeps what a registry says of a bound version now. Durable when it returns.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn observe(
        &self,
        version: &KeyVersion,
        held: bool,
        at: Timestamp,
    ) -> Result<Arc<KeyVersion>, StoreError> {
        let mut after = self.newest(version);
        after.registration = Some(Registration { held, since: whole(at) });
        self.connection().execute(
            "UPDATE binding SET held = ?2, held_since = ?3 WHERE id = ?1",
            params![after.id.to_bytes(), held, at.as_second()],
        )?;
        let after = Arc::new(after);
        self.replace(std::slice::from_ref(&after));
        Ok(after)
    }

    /// Whether the change with this intent was carried out.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn was_made(&self, intent: u64) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM change WHERE intent = ?1";
        let found = self.connection().query_row(sql, params![intent], |_| Ok(())).optional()?;
        Ok(found.is_some())
    }

    /// Marks a change that is no step of a key's life.
    pub(super) fn mark(connection: &Connection, intent: u64) -> Result<(), StoreError> {
        connection.execute("INSERT INTO change (intent) VALUES (?1)", params![intent])?;
        Ok(())
    }

    /// Forgets which intents were carried out: each has its outcome in the log.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn forget_made(&self) -> Result<(), StoreError> {
        self.connection().execute("DELETE FROM change", [])?;
        Ok(())
    }

    fn write_with_event(
        &self,
        after: KeyVersion,
        kind: Option<EventKind>,
        at: Timestamp,
    ) -> Result<Arc<KeyVersion>, StoreError> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        update(&transaction, &after)?;
        if let Some(kind) = kind {
            insert_event(&transaction, &NewEvent::of(kind, &after), at)?;
        }
        transaction.commit()?;
        let after = Arc::new(after);
        self.replace(std::slice::from_ref(&after));
        Ok(after)
    }

    /// The version as the index has it now.
    fn newest(&self, version: &KeyVersion) -> KeyVersion {
        let versions = self.versions_of_key(&version.eoa, &version.name);
        let found = versions.iter().find(|known| known.id == version.id);
        found.map_or_else(|| version.clone(), |known| KeyVersion::clone(known))
    }

    fn replace(&self, changed: &[Arc<KeyVersion>]) {
        let mut index = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        for version in changed {
            let versions = index.versions_mut(&version.eoa, &version.name);
            let place =
                versions.and_then(|versions| versions.iter_mut().find(|known| known.id == version.id));
            if let Some(place) = place {
                *place = Arc::clone(version);
            }
        }
    }

    /// Versions that are destroyed here and of which the token has not confirmed it.
    pub fn half_destroyed(&self) -> Vec<Arc<KeyVersion>> {
        let mut versions = self.all_versions();
        versions.retain(|version| {
            version.status.lifecycle == LifecycleState::Destroyed && version.times.destroyed.is_none()
        });
        versions
    }

    /// A version by its record in the token.
    pub fn by_id(&self, id: KeyId) -> Option<Arc<KeyVersion>> {
        self.all_versions().into_iter().find(|version| version.id == id)
    }

    /// The only version of a key with this number.
    pub fn numbered(&self, eoa: &Eoa, name: &KeyName, number: KeyVersionNumber) -> Option<Arc<KeyVersion>> {
        self.versions_of_key(eoa, name).into_iter().find(|version| version.version == number)
    }
}

/// The version after the transition.
fn after(known: &KeyVersion, transition: &Transition, batch: &LifecycleUpdate) -> KeyVersion {
    let mut after = known.clone();
    let at = whole(batch.at);
    after.status = transition.to;
    if transition.from.lifecycle != transition.to.lifecycle {
        match transition.to.lifecycle {
            LifecycleState::Active => after.times.activated = Some(at),
            LifecycleState::Retiring => after.times.superseded = Some(at),
            LifecycleState::Retired => after.times.retired = Some(at),
            LifecycleState::Destroyed | LifecycleState::Pending => {}
        }
    }
    if transition.from.destruction_scheduled != transition.to.destruction_scheduled
        && transition.to.lifecycle != LifecycleState::Destroyed
    {
        after.times.destroy =
            if transition.to.destruction_scheduled { batch.destroy_at.map(whole) } else { None };
    }
    after
}

fn update(connection: &Connection, version: &KeyVersion) -> Result<(), StoreError> {
    let second = |time: Option<Timestamp>| time.map(Timestamp::as_second);
    let times = &version.times;
    let changed = connection.execute(
        "UPDATE key_version SET state = ?2, frozen = ?3, activated_at = ?4, superseded_at = ?5, retired_at = ?6,
         destroy_at = ?7, destroyed_at = ?8, announced_at = ?9 WHERE id = ?1",
        params![
            version.id.to_bytes(),
            version.status.lifecycle.as_str(),
            version.status.disabled,
            second(times.activated),
            second(times.superseded),
            second(times.retired),
            second(times.destroy),
            second(times.destroyed),
            second(times.announced),
        ],
    )?;
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::Corrupt(format!("no row for key record {}", version.id)))
    }
}
