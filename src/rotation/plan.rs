//! What is due for one key: pure, from its versions, its schedule, the registry's answer and the clock.

use std::sync::Arc;

use jiff::Timestamp;

use crate::key::KeyVersion;
use crate::key::{LifecycleState, OVERLAP_DAYS, RetireOn, Schedule, days, later};

/// Status of a version in the registry that it is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistryStatus {
    /// The version is not bound, or bound on another chain than the watched one. The clock decides.
    NotTracked,
    /// The registry did not answer: nothing is decided without it.
    Unreachable,
    /// The registry holds this very key.
    Registered,
    /// The registry holds another key or none.
    NotRegistered,
}

/// A scheduled action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Announce to clients that the current version is superseded at this date.
    Announce {
        /// The date.
        due_at: Timestamp,
    },
    /// Make the next version.
    Rotate,
    /// Make it the current one.
    Activate,
    /// Retire an old one.
    Retire,
    /// Destroy one whose date has come.
    Destroy,
}

impl Action {
    /// Its name in logs and events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Announce { .. } => "announce",
            Self::Rotate => "rotate",
            Self::Activate => "activate",
            Self::Retire => "retire",
            Self::Destroy => "destroy",
        }
    }
}

/// A version, the action that is due for it, and why.
#[derive(Clone, Debug)]
pub struct DueAction {
    /// The version; for a rotation the current one.
    pub version: Arc<KeyVersion>,
    /// The action.
    pub action: Action,
    /// The reason, for the audit log.
    pub reason: String,
}

/// What is due now for the key with these versions, in the order to be done. One thing at a time happens to a version:
/// after a long absence the key is rotated once.
pub fn due(
    versions: &[Arc<KeyVersion>],
    schedule: Option<&Schedule>,
    status: impl Fn(&KeyVersion) -> RegistryStatus,
    now: Timestamp,
) -> Vec<DueAction> {
    let mut all = Vec::new();
    let mut add = |version: &Arc<KeyVersion>, action, reason: String| {
        all.push(DueAction { version: Arc::clone(version), action, reason });
    };
    for version in versions {
        let begun =
            version.status.lifecycle == LifecycleState::Destroyed && version.times.destroyed.is_none();
        if begun
            || version.status.destruction_scheduled && version.times.destroy.is_some_and(|date| date <= now)
        {
            add(version, Action::Destroy, "its date has come".to_owned());
        }
    }
    let Some(current) = versions.iter().find(|version| version.status.lifecycle == LifecycleState::Active)
    else {
        return all;
    };
    let pending = versions
        .iter()
        .filter(|version| {
            version.status.lifecycle == LifecycleState::Pending && !version.status.destruction_scheduled
        })
        .max_by_key(|version| version.version);
    let activated = current.times.activated.unwrap_or(current.times.created);
    let dates =
        schedule.map(|schedule| schedule.dates(&current.eoa, &current.name, current.version, activated));

    if let (Some(dates), Some(_)) = (&dates, schedule)
        && now >= dates.announce_at
    {
        if current.times.announced.is_none() {
            add(current, Action::Announce { due_at: dates.due_at }, format!("due at {}", dates.due_at));
        }
        if pending.is_none() {
            add(current, Action::Rotate, format!("schedule: due at {}", dates.due_at));
        }
    }
    if let Some(pending) = pending.filter(|pending| !pending.status.disabled) {
        match (status(pending), schedule, &dates) {
            (RegistryStatus::Registered, ..) => {
                add(pending, Action::Activate, "chain: the registry holds this version".to_owned());
            }
            (RegistryStatus::NotTracked, Some(schedule), Some(dates)) if schedule.activate => {
                // A version that was made late still gets the time that was promised between its announcement and this.
                let promised = later(pending.times.created, days(schedule.announce_days));
                if now >= dates.due_at.max(promised) {
                    add(pending, Action::Activate, format!("schedule: due at {}", dates.due_at));
                }
            }
            _ => {}
        }
    }
    for version in versions.iter().filter(|version| version.status.lifecycle == LifecycleState::Retiring) {
        // What an operator has unretired is not retired again by a schedule.
        let may_end = !version.status.destruction_scheduled && version.times.retired.is_none();
        let Some(since) = version.times.superseded.filter(|_| may_end) else {
            continue;
        };
        let end = schedule.map_or(later(since, days(OVERLAP_DAYS)), |schedule| schedule.overlap_ends(since));
        if now < end {
            continue;
        }
        match status(version) {
            // The registry must have the new key and no longer the old one: then tables stop to name it.
            RegistryStatus::NotRegistered if status(current) == RegistryStatus::Registered => {
                let reason =
                    format!("chain: the registry holds version {}; overlap over at {end}", current.version);
                add(version, Action::Retire, reason);
            }
            RegistryStatus::NotTracked
                if schedule.is_some_and(|schedule| schedule.retire_on == RetireOn::Overlap) =>
            {
                add(version, Action::Retire, format!("schedule: overlap over at {end}"));
            }
            RegistryStatus::Registered
            | RegistryStatus::NotRegistered
            | RegistryStatus::Unreachable
            | RegistryStatus::NotTracked => {}
        }
    }
    all
}

#[cfg(test)]
mod tests;
