//! Policies and rotation schedules of keys, and the freeze of all of them. A key without a policy allows everything; a
//! schedule is of one key, or of every key of an EOA that has none of its own.

use std::sync::Arc;

use super::backend::IntentMark;
use super::cache::Store;
use super::error::StoreError;
use super::keys::truncate_to_second;
use crate::auth::Policy;
use crate::key::{Eoa, Freeze, KeyName, Schedule, ScheduleScope};

impl Store {
    /// What a key allows, whether it exists or not.
    pub fn policy(&self, owner: &Eoa, name: &KeyName) -> Arc<Policy> {
        let policies = self.shared().policies();
        policies.get(&(*owner, name.clone())).map(Arc::clone).unwrap_or_default()
    }

    /// Sets what a key allows.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_policy(&self, owner: Eoa, name: KeyName, policy: Policy) -> Result<(), StoreError> {
        self.write(|shared| async move {
            shared.backend.set_policy(owner, name.clone(), policy.clone()).await?;
            shared.policies_mut().insert((owner, name), Arc::new(policy));
            Ok(())
        })
        .await
    }

    /// Sets or ends a schedule.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_schedule(
        &self,
        owner: Eoa,
        scope: ScheduleScope,
        schedule: Option<Schedule>,
        intent: u64,
    ) -> Result<(), StoreError> {
        self.write(|shared| async move {
            shared.backend.set_schedule(owner, scope.clone(), schedule, intent).await?;
            let mut schedules = shared.schedules_mut();
            match schedule {
                Some(schedule) => schedules.insert((owner, scope), schedule),
                None => schedules.remove(&(owner, scope)),
            };
            Ok(())
        })
        .await
    }

    /// Whether the service is frozen: since when, and why.
    pub fn freeze(&self) -> Option<Arc<Freeze>> {
        self.shared().freeze().clone()
    }

    /// Freezes the service or ends it. Every later read sees it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_freeze(&self, freeze: Option<Freeze>, mark: IntentMark) -> Result<(), StoreError> {
        let freeze = freeze.map(|freeze| Freeze { since: truncate_to_second(freeze.since), ..freeze });
        self.write_next(move |shared| async move {
            shared.backend.set_freeze(freeze.clone(), mark).await?;
            *shared.freeze_mut() = freeze.map(Arc::new);
            Ok(())
        })
        .await
    }

    /// The schedule of exactly this scope.
    pub fn schedule(&self, owner: &Eoa, scope: &ScheduleScope) -> Option<Schedule> {
        self.shared().schedules().get(&(*owner, scope.clone())).copied()
    }

    /// How many schedules an EOA has.
    pub fn schedules_of(&self, owner: &Eoa) -> usize {
        self.shared().schedules().keys().filter(|(eoa, _)| eoa == owner).count()
    }

    /// The schedule that a key follows: its own, else its EOA's.
    pub fn schedule_of(&self, owner: &Eoa, name: &KeyName) -> Option<Schedule> {
        let own = self.schedule(owner, &ScheduleScope::One(name.clone()));
        own.or_else(|| self.schedule(owner, &ScheduleScope::All))
    }
}
