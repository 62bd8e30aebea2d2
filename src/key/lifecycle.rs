//! State machine of a key: which action is allowed on a version, and how it changes the other
//! versions.
//!
//! Pure: `(versions, action) -> transitions or an error`. Not for: permissions (`auth`), due dates
//! (`rotation`), or carrying transitions out (`store`, `service`).

use thiserror::Error;

use super::state::{KeyState, SigningRefusal, UnknownState};
use super::version_number::KeyVersionNumber;

/// Progress of a version. [`TRANSITIONS`] lists each change; nothing follows `Destroyed`.
///
/// [`TRANSITIONS`]: super::transition_table::TRANSITIONS
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifecycleState {
    /// Created, not yet current.
    Pending,
    /// Current. Once a key has had a current version, it always has exactly one.
    Active,
    /// No longer current. Signs when a request names its number.
    Retiring,
    /// Kept, does not sign.
    Retired,
    /// Destroyed in the token. Final.
    Destroyed,
}

/// Status of a version: its progress and the two marks that an operator can set and remove again.
/// Enabling and restoring therefore bring back exactly the earlier state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionStatus {
    /// Progress.
    pub lifecycle: LifecycleState,
    /// Disabled by an operator.
    pub disabled: bool,
    /// Scheduled for destruction.
    pub destruction_scheduled: bool,
}

/// Action on a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LifecycleAction {
    /// Makes the version the current one.
    Activate,
    /// Stops the version from signing.
    Retire,
    /// Ends `Retire`: the version is retiring again.
    Unretire,
    /// Stops the version from signing until it is enabled.
    Disable,
    /// Ends `Disable`.
    Enable,
    /// Schedules the destruction of the version.
    ScheduleDestroy,
    /// Cancels the scheduled destruction.
    Restore,
    /// Destroys the version: its date has come.
    Destroy,
}

/// Change of the status of one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The version.
    pub version: KeyVersionNumber,
    /// Status before.
    pub from: VersionStatus,
    /// Status after.
    pub to: VersionStatus,
}

/// Reason why an action is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TransitionError {
    /// A key always has a current version.
    #[error("this is the current version: make another one current first, or disable it")]
    Current,
    /// The version is destroyed.
    #[error("this version of the key is destroyed")]
    Destroyed,
    /// The version must be enabled first.
    #[error("this version of the key is disabled; enable it first")]
    Disabled,
    /// The version never was current, so there is nothing to retire from.
    #[error("this version is pending and cannot be retired; destroy it if you do not need it")]
    Pending,
    /// A retired version does not sign, so it is neither disabled nor enabled nor activated.
    #[error("this version of the key is retired; unretire it first, by a signed request or on the host")]
    Retired,
    /// The version must be restored first.
    #[error("this version of the key is scheduled to be destroyed; restore it first")]
    Scheduled,
    /// Only a version that was scheduled is destroyed.
    #[error("this version of the key is not scheduled to be destroyed")]
    Unscheduled,
    /// The key has no such version.
    #[error("the key has no such version")]
    Unknown,
}

impl LifecycleAction {
    /// Every action.
    pub const ALL: [Self; 8] = [
        Self::Activate,
        Self::Retire,
        Self::Unretire,
        Self::Disable,
        Self::Enable,
        Self::ScheduleDestroy,
        Self::Restore,
        Self::Destroy,
    ];

    /// The last part of its path and the name of its command.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Activate => "activate",
            Self::Retire => "retire",
            Self::Unretire => "unretire",
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::ScheduleDestroy => "destroy",
            Self::Restore => "restore",
            Self::Destroy => "destroy_due",
        }
    }
}

impl LifecycleState {
    /// Name of the state in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
            Self::Destroyed => "destroyed",
        }
    }
}

impl std::str::FromStr for LifecycleState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        let all = [Self::Pending, Self::Active, Self::Retiring, Self::Retired, Self::Destroyed];
        all.into_iter().find(|state| state.as_str() == text).ok_or(UnknownState)
    }
}

impl VersionStatus {
    /// This progress, neither disabled nor scheduled for destruction.
    pub const fn new(lifecycle: LifecycleState) -> Self {
        Self { lifecycle, disabled: false, destruction_scheduled: false }
    }

    /// The state that the API shows.
    pub const fn state(self) -> KeyState {
        match (self.lifecycle, self.destruction_scheduled, self.disabled) {
            (LifecycleState::Destroyed, ..) => KeyState::Destroyed,
            (_, true, _) => KeyState::DestroyScheduled,
            (LifecycleState::Retired, ..) => KeyState::Retired,
            (_, _, true) => KeyState::Disabled,
            (LifecycleState::Pending, ..) => KeyState::Pending,
            (LifecycleState::Active, ..) => KeyState::Active,
            (LifecycleState::Retiring, ..) => KeyState::Retiring,
        }
    }

    /// Whether a version with this status may sign.
    ///
    /// # Errors
    /// The reason why it may not.
    pub const fn may_sign(self) -> Result<(), SigningRefusal> {
        self.state().may_sign()
    }

    /// Status after an action on this version. It is unchanged if the action was done before.
    ///
    /// # Errors
    /// The reason why the action is not allowed.
    pub const fn after(self, action: LifecycleAction) -> Result<Self, TransitionError> {
        use LifecycleAction::{
            Activate, Destroy, Disable, Enable, Restore, Retire, ScheduleDestroy, Unretire,
        };
        use LifecycleState::{Active, Destroyed, Pending, Retired, Retiring};
        if self.destruction_scheduled {
            return match action {
                ScheduleDestroy => Ok(self),
                Restore => Ok(Self { destruction_scheduled: false, ..self }),
                Destroy => Ok(Self::new(Destroyed)),
                Activate | Disable | Enable | Retire | Unretire => Err(TransitionError::Scheduled),
            };
        }
        match (action, self.lifecycle) {
            (ScheduleDestroy | Destroy, Destroyed) => Ok(self),
            (_, Destroyed) => Err(TransitionError::Destroyed),
            (Restore, _) => Ok(self),
            (Destroy, _) => Err(TransitionError::Unscheduled),

            (Activate, Pending | Retiring) if self.disabled => Err(TransitionError::Disabled),
            (Activate, Pending | Retiring) => Ok(Self::new(Active)),
            (Activate, Active) => Ok(self),
            (Activate, Retired) => Err(TransitionError::Retired),

            // The mark stays, so that `Unretire` brings back exactly what was retired.
            (Retire, Retiring | Retired) => Ok(Self { lifecycle: Retired, ..self }),
            (Unretire, Retired) => Ok(Self { lifecycle: Retiring, ..self }),
            (Unretire, Pending | Active | Retiring) => Ok(self),
            (Retire, Pending) => Err(TransitionError::Pending),
            (Retire | ScheduleDestroy, Active) => Err(TransitionError::Current),
            (ScheduleDestroy, Pending | Retiring | Retired) => {
                Ok(Self { destruction_scheduled: true, ..self })
            }

            (Disable | Enable, Retired) => Err(TransitionError::Retired),
            (Disable, Pending | Active | Retiring) => Ok(Self { disabled: true, ..self }),
            (Enable, Pending | Active | Retiring) => Ok(Self { disabled: false, ..self }),
        }
    }
}

/// The versions of one key, in any order, with their status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyLifecycle {
    /// The versions.
    pub versions: Vec<(KeyVersionNumber, VersionStatus)>,
    /// Whether the current version may have been in a registry: a registry accepts no key twice.
    pub current_was_registered: bool,
}

impl KeyLifecycle {
    /// Transitions that an action on one version causes, in order. The list is empty if the action
    /// was done before.
    ///
    /// # Errors
    /// The reason why the action is not allowed.
    pub fn transitions(
        &self,
        target: KeyVersionNumber,
        action: LifecycleAction,
    ) -> Result<Vec<Transition>, TransitionError> {
        let status =
            |version| self.versions.iter().find(|(known, _)| *known == version).map(|(_, status)| *status);
        let from = status(target).ok_or(TransitionError::Unknown)?;
        let to = from.after(action)?;
        if from == to {
            return Ok(Vec::new());
        }
        let mut transitions = vec![Transition { version: target, from, to }];
        let replaced = self.replaced_by(from.lifecycle);
        if action == LifecycleAction::Activate {
            let current = self.versions.iter().find(|(_, status)| status.lifecycle == LifecycleState::Active);
            // The old version goes first: at no time are two versions current. It stays disabled if
            // it was.
            if let Some(&(version, from)) = current {
                let to = VersionStatus { lifecycle: replaced, ..from };
                transitions.insert(0, Transition { version, from, to });
            }
        }
        Ok(transitions)
    }

    /// What the current version becomes when a version in this state replaces it. Going back to an
    /// older version leaves the newer one usable, unless a registry has seen it already.
    fn replaced_by(&self, from: LifecycleState) -> LifecycleState {
        let has_pending = self.versions.iter().any(|(_, status)| status.lifecycle == LifecycleState::Pending);
        if from == LifecycleState::Retiring && !self.current_was_registered && !has_pending {
            LifecycleState::Pending
        } else {
            LifecycleState::Retiring
        }
    }

    /// Number and state of the next version to create. Only the first version is current at once.
    pub fn next(&self) -> Option<(KeyVersionNumber, LifecycleState)> {
        match self.versions.iter().map(|(version, _)| version.number()).max() {
            None => Some((KeyVersionNumber::FIRST, LifecycleState::Active)),
            Some(newest) => Some((KeyVersionNumber::new(newest.checked_add(1)?)?, LifecycleState::Pending)),
        }
    }
}

#[cfg(test)]
mod tests;
