//! Rotation schedules: of one key, or of every key of an EOA that has none of its own.

use std::fmt;
use std::str::FromStr;

use super::cache::Store;
use super::error::StoreError;
use crate::key::{Eoa, KeyName, NameError, Schedule};

/// Which keys of an EOA a schedule is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ScheduleScope {
    /// All that have no schedule of their own; written `*`, which is no key's name.
    All,
    /// One.
    One(KeyName),
}

impl fmt::Display for ScheduleScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::One(name) => fmt::Display::fmt(name, f),
        }
    }
}

impl FromStr for ScheduleScope {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text == "*" { Ok(Self::All) } else { text.parse().map(Self::One) }
    }
}

impl Store {
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

    /// The schedule of exactly this scope.
    pub fn schedule(&self, owner: &Eoa, scope: &ScheduleScope) -> Option<Schedule> {
        self.shared().schedules().get(&(*owner, scope.clone())).copied()
    }

    /// The schedule that a key follows: its own, else its EOA's.
    pub fn schedule_of(&self, owner: &Eoa, name: &KeyName) -> Option<Schedule> {
        let own = self.schedule(owner, &ScheduleScope::One(name.clone()));
        own.or_else(|| self.schedule(owner, &ScheduleScope::All))
    }
}
