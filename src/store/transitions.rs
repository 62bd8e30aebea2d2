//! Changes of key versions: each with its events and the mark of its intent in one transaction.
//!
//! Not for: which changes are allowed (`key`).

use std::sync::Arc;

use jiff::Timestamp;

use super::backend::{IntentMark, KeyChange, VersionUpdate};
use super::cache::{Shared, Store};
use super::error::StoreError;
use super::key_event::NewEvent;
use super::keys::truncate_to_second;
use crate::key::{
    Eoa, EventKind, IntentRef, KeyName, KeyVersion, LifecycleState, Registration, Transition, VersionStatus,
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
    /// The intent in the audit log.
    pub intent: IntentRef,
    /// Whether it is carried out from its record alone: then no later start does it again.
    pub is_take_away: bool,
    /// When.
    pub at: Timestamp,
    /// When a version that is scheduled for destruction is to be destroyed.
    pub destroy_at: Option<Timestamp>,
    /// The caller's reason.
    pub reason: Option<String>,
}

impl Store {
    /// Makes a change as a whole and returns the changed versions.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when a version is not in the status where the change begins; or the database fails.
    pub async fn apply(&self, change: LifecycleUpdate) -> Result<Vec<Arc<KeyVersion>>, StoreError> {
        let only_disables =
            change.transitions.iter().all(|step| step.to == VersionStatus { disabled: true, ..step.from });
        let work = |shared: Arc<Shared>| async move {
            let mut updates = Vec::new();
            let mut events = Vec::new();
            for step in &change.transitions {
                let known = shared.keys().versions(&change.eoa, &change.name).and_then(|versions| {
                    versions.iter().find(|known| known.version == step.version).map(Arc::clone)
                });
                let known = known.filter(|known| known.status == step.from);
                let after = after(&*known.ok_or(StoreError::Conflict(step.version))?, step, &change);
                let event = step.event().map(|kind| NewEvent::of(kind, &after));
                events.extend(event.map(|event| event.with_reason(change.reason.as_deref())));
                updates.push(VersionUpdate { from: step.from, version: Arc::new(after) });
            }
            let IntentRef { record, hash, .. } = change.intent;
            let mark =
                if change.is_take_away { IntentMark::TakenAway(hash) } else { IntentMark::Applied(record) };
            write_change(&shared, updates, events, Some(mark), change.at).await
        };
        if only_disables { self.write_next(work).await } else { self.write(work).await }
    }

    /// The token confirmed that the record of a destroyed version is gone.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn confirm_destroyed(
        &self,
        version: &KeyVersion,
        at: Timestamp,
    ) -> Result<Arc<KeyVersion>, StoreError> {
        self.update(version, at, move |after| {
            after.times.destroyed = Some(truncate_to_second(at));
            NewEvent::of(EventKind::Destroyed, after)
        })
        .await
    }

    /// The rotation that supersedes this version was announced.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn announce(
        &self,
        version: &KeyVersion,
        due_at: Timestamp,
        at: Timestamp,
    ) -> Result<Arc<KeyVersion>, StoreError> {
        self.update(version, at, move |after| {
            after.times.announced = Some(truncate_to_second(at));
            NewEvent::of(EventKind::RotationDue, after).with("due_at", due_at.to_string())
        })
        .await
    }

    /// A scheduled change failed: clients get an event.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rotation_failed(
        &self,
        version: &KeyVersion,
        reason: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let event = NewEvent::of(EventKind::RotationFailed, version).with_reason(Some(reason));
        self.write(|shared| async move { shared.backend.append_event(event, at).await }).await
    }

    /// Stores what a registry says of a bound version.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_registration(
        &self,
        version: &KeyVersion,
        held: bool,
        at: Timestamp,
    ) -> Result<Arc<KeyVersion>, StoreError> {
        let version = version.clone();
        self.write(|shared| async move {
            let mut after = newest(&shared, version);
            let registration = Registration { held, since: truncate_to_second(at) };
            after.registration = Some(registration);
            let after = Arc::new(after);
            shared.backend.set_registration(Arc::clone(&after)).await?;
            shared.keys_mut().replace(Arc::clone(&after));
            Ok(after)
        })
        .await
    }

    /// Whether the change with this intent was made.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_applied(&self, intent: u64) -> Result<bool, StoreError> {
        self.shared().backend.is_applied(IntentMark::Applied(intent)).await
    }

    /// Whether the intent of this record was carried out, from the record alone.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_taken_away(&self, record: [u8; 32]) -> Result<bool, StoreError> {
        self.shared().backend.is_applied(IntentMark::TakenAway(record)).await
    }

    /// Marks the intent of this record, of which nothing was left to do.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mark_taken_away(&self, record: [u8; 32], at: Timestamp) -> Result<(), StoreError> {
        let mark = Some(IntentMark::TakenAway(record));
        self.write(move |shared| async move {
            write_change(&shared, Vec::new(), Vec::new(), mark, at).await.map(drop)
        })
        .await
    }

    /// Deletes the marks of intents: the audit log has the outcome of each.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn clear_applied_intents(&self) -> Result<(), StoreError> {
        self.write(|shared| async move { shared.backend.clear_applied_intents().await }).await
    }

    /// Changes one version without a change of its status.
    async fn update(
        &self,
        version: &KeyVersion,
        at: Timestamp,
        change: impl FnOnce(&mut KeyVersion) -> NewEvent + Send + 'static,
    ) -> Result<Arc<KeyVersion>, StoreError> {
        let version = version.clone();
        self.write(move |shared| async move {
            let mut after = newest(&shared, version);
            let events = vec![change(&mut after)];
            let after = Arc::new(after);
            let update = VersionUpdate { from: after.status, version: Arc::clone(&after) };
            write_change(&shared, vec![update], events, None, at).await?;
            Ok(after)
        })
        .await
    }
}

async fn write_change(
    shared: &Shared,
    updates: Vec<VersionUpdate>,
    events: Vec<NewEvent>,
    mark: Option<IntentMark>,
    at: Timestamp,
) -> Result<Vec<Arc<KeyVersion>>, StoreError> {
    let changed: Vec<_> = updates.iter().map(|update| Arc::clone(&update.version)).collect();
    shared.backend.change(KeyChange { updates, events, mark, at }).await?;
    let mut index = shared.keys_mut();
    changed.iter().for_each(|version| index.replace(Arc::clone(version)));
    Ok(changed)
}

/// The version as the index has it now.
fn newest(shared: &Shared, version: KeyVersion) -> KeyVersion {
    let index = shared.keys();
    let versions = index.versions(&version.eoa, &version.name).unwrap_or_default();
    let known = versions.iter().find(|known| known.id == version.id);
    known.map_or(version, |known| KeyVersion::clone(known))
}

/// The version after the step.
fn after(known: &KeyVersion, step: &Transition, change: &LifecycleUpdate) -> KeyVersion {
    let mut after = known.clone();
    let at = truncate_to_second(change.at);
    after.status = step.to;
    if step.from.lifecycle != step.to.lifecycle {
        match step.to.lifecycle {
            LifecycleState::Active => {
                (after.times.activated, after.times.retired) = (Some(at), None);
            }
            LifecycleState::Retiring | LifecycleState::Pending
                if step.from.lifecycle == LifecycleState::Active =>
            {
                after.times.superseded = Some(at);
            }
            LifecycleState::Retired => after.times.retired = Some(at),
            // A version that was retired and is retiring again keeps both times: the scheduler leaves it alone.
            LifecycleState::Destroyed | LifecycleState::Pending | LifecycleState::Retiring => {}
        }
    }
    if step.from.destruction_scheduled != step.to.destruction_scheduled
        && step.to.lifecycle != LifecycleState::Destroyed
    {
        let is_scheduled = step.to.destruction_scheduled;
        after.times.destroy = change.destroy_at.filter(|_| is_scheduled).map(truncate_to_second);
        after.destroy_intent = is_scheduled.then_some(change.intent);
    }
    after
}
