//! Key versions: reserved before the token creates the key, completed after.

use std::collections::HashMap;
use std::sync::Arc;

use hsm::{KeyId, PublicKey};
use jiff::Timestamp;

use super::cache::Store;
use super::error::{StoreError, VersionNotFound};
use super::key_event::NewEvent;
use crate::key::{
    Eoa, EventKind, KeyLifecycle, KeyName, KeyVersion, KeyVersionNumber, LifecycleState, Reservation,
    VersionSelector, VersionStatus, VersionTimestamps,
};

impl Store {
    /// Reserves a version of a key before the token creates it.
    ///
    /// # Errors
    /// When this version exists, or the database fails.
    pub async fn reserve(&self, reservation: Reservation, at: Timestamp) -> Result<(), StoreError> {
        self.write(|shared| async move { shared.backend.reserve(reservation, at).await }).await
    }

    /// Completes a reserved version: from here on it exists. The first version of a key is current at once, every
    /// other one is pending.
    ///
    /// # Errors
    /// When there is no such reservation, or the database fails.
    pub async fn complete(
        &self,
        reservation: Reservation,
        public_key: PublicKey,
        at: Timestamp,
    ) -> Result<Arc<KeyVersion>, StoreError> {
        self.write(|shared| async move {
            let first = shared.keys().versions(&reservation.eoa, &reservation.name).is_none();
            let version = created(reservation, public_key, truncate_to_second(at), first);
            let mut events = vec![NewEvent::of(EventKind::VersionCreated, &version)];
            events.extend(first.then(|| NewEvent::of(EventKind::VersionActivated, &version)));
            let version = Arc::new(version);
            shared.backend.complete(Arc::clone(&version), events).await?;
            shared.keys_mut().insert(Arc::clone(&version));
            Ok(version)
        })
        .await
    }

    /// Gives a reservation up: no key was created for it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn abandon(&self, id: KeyId) -> Result<(), StoreError> {
        self.write(|shared| async move { shared.backend.abandon(id).await }).await
    }

    /// Reservations that are not complete.
    ///
    /// # Errors
    /// When the database fails or holds an invalid row.
    pub async fn reservations(&self) -> Result<Vec<Reservation>, StoreError> {
        self.shared().backend.reservations().await
    }

    /// The version that a request names.
    ///
    /// # Errors
    /// Whether the key or only the version is missing.
    pub fn version(
        &self,
        owner: &Eoa,
        name: &KeyName,
        selector: VersionSelector,
    ) -> Result<Arc<KeyVersion>, VersionNotFound> {
        let index = self.shared().keys();
        let versions = index.versions(owner, name).ok_or(VersionNotFound::Key)?;
        let in_state = |state| versions.iter().rfind(|version| version.status.lifecycle == state);
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
    pub fn versions_of_key(&self, owner: &Eoa, name: &KeyName) -> Vec<Arc<KeyVersion>> {
        let index = self.shared().keys();
        index.versions(owner, name).unwrap_or_default().iter().rev().cloned().collect()
    }

    /// The lifecycle of a key; empty if there is no such key.
    pub fn lifecycle(&self, owner: &Eoa, name: &KeyName) -> KeyLifecycle {
        let index = self.shared().keys();
        let versions = index.versions(owner, name).unwrap_or_default();
        let mut current = versions.iter().filter(|it| it.status.lifecycle == LifecycleState::Active);
        KeyLifecycle {
            versions: versions.iter().rev().map(|version| (version.version, version.status)).collect(),
            current_was_registered: current.any(|version| version.may_have_been_registered()),
        }
    }

    /// Every version of every key of an EOA: by name, newest version first.
    pub fn versions_of_eoa(&self, owner: &Eoa) -> Vec<Arc<KeyVersion>> {
        self.versions_after(Some(owner), usize::MAX, |_| true)
    }

    /// At most `most` matching versions of the keys of one EOA, or of all: by EOA, name, newest version first. What was
    /// made or changed meanwhile moves no other version, so a cursor stays where it is.
    pub fn versions_after(
        &self,
        owner: Option<&Eoa>,
        most: usize,
        matches: impl Fn(&KeyVersion) -> bool,
    ) -> Vec<Arc<KeyVersion>> {
        let order = |a: &&Arc<KeyVersion>, b: &&Arc<KeyVersion>| {
            (a.eoa, &a.name, b.version).cmp(&(b.eoa, &b.name, a.version))
        };
        let index = self.shared().keys();
        let of_owner = owner.into_iter().filter_map(|owner| index.by_eoa.get(owner));
        let of_all = owner.is_none().then(|| index.by_eoa.values()).into_iter().flatten();
        let versions = of_owner.chain(of_all).flat_map(HashMap::values).flatten();
        let mut versions: Vec<_> = versions.filter(|version| matches(version)).collect();
        if versions.len() > most {
            versions.select_nth_unstable_by(most, order);
            versions.truncate(most);
        }
        versions.sort_unstable_by(order);
        versions.into_iter().map(Arc::clone).collect()
    }

    /// Whether an EOA owns a key.
    pub fn has_keys(&self, owner: &Eoa) -> bool {
        self.shared().keys().by_eoa.contains_key(owner)
    }

    /// How many keys an EOA owns, and how many there are.
    pub fn key_counts(&self, owner: &Eoa) -> (usize, usize) {
        let index = self.shared().keys();
        (index.by_eoa.get(owner).map_or(0, HashMap::len), index.keys)
    }

    /// Every version of every key, in no order.
    pub fn all_versions(&self) -> Vec<Arc<KeyVersion>> {
        self.shared().keys().all().cloned().collect()
    }

    /// Versions that are destroyed in the store and not yet confirmed by the token.
    pub fn destruction_pending(&self) -> Vec<Arc<KeyVersion>> {
        let is_pending = |version: &&Arc<KeyVersion>| {
            version.status.lifecycle == LifecycleState::Destroyed && version.times.destroyed.is_none()
        };
        self.shared().keys().all().filter(is_pending).cloned().collect()
    }

    /// A version by its record in the token.
    pub fn version_by_id(&self, id: KeyId) -> Option<Arc<KeyVersion>> {
        self.shared().keys().all().find(|version| version.id == id).cloned()
    }

    /// A version of a key by its number.
    pub fn version_by_number(
        &self,
        owner: &Eoa,
        name: &KeyName,
        number: KeyVersionNumber,
    ) -> Option<Arc<KeyVersion>> {
        self.version(owner, name, VersionSelector::Number(number)).ok()
    }
}

fn created(reservation: Reservation, public_key: PublicKey, at: Timestamp, first: bool) -> KeyVersion {
    let Reservation { id, eoa, name, version, binding } = reservation;
    let times = VersionTimestamps {
        created: at,
        activated: first.then_some(at),
        superseded: None,
        retired: None,
        destroy: None,
        destroyed: None,
        announced: None,
    };
    let status = VersionStatus::new(if first { LifecycleState::Active } else { LifecycleState::Pending });
    KeyVersion {
        id,
        eoa,
        name,
        version,
        status,
        public_key,
        binding,
        registration: None,
        times,
        destroy_intent: None,
    }
}

/// The store keeps whole seconds.
pub(super) fn truncate_to_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
