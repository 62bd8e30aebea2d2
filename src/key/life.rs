//! The life of a key: what may happen to a version in which standing, and what that does to its siblings.
//!
//! Pure: `(versions, event) → steps or a refusal`. Not for: who may ask (`auth`), when it is time (`rotation`),
//! or making it so (`store`, `operation`).

use thiserror::Error;

use super::{KeyState, SigningRefusal, Version};

/// How far a version has come. Only forwards, one at a time; nothing follows `Destroyed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Made and provable, not yet current.
    Pending,
    /// Current; exactly one version of a key is, once there was one.
    Active,
    /// No longer current, signs when asked for by number.
    Retiring,
    /// Refuses to sign, kept.
    Retired,
    /// Destroyed in the token, for ever.
    Destroyed,
}

/// Where a version stands. `disabled` and `scheduled_destroy` are laid over a stage, so that enabling and restoring
/// bring back exactly what was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How far it has come.
    pub stage: Stage,
    /// Disabled by an operator.
    pub frozen: bool,
    /// Scheduled to be destroyed.
    pub doomed: bool,
}

/// What can happen to a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It becomes the current one.
    Activate,
    /// It refuses from now on.
    Retire,
    /// It is frozen.
    Disable,
    /// It is thawed.
    Enable,
    /// It will be destroyed at a date.
    ScheduleDestroy,
    /// It will not be destroyed after all.
    Restore,
    /// Its date has come.
    Destroy,
}

/// One version moves from one standing to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub version: Version,
    /// Where it stands.
    pub from: Standing,
    /// Where it will stand.
    pub to: Standing,
}

/// Why a change does not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// A key is never without a current version.
    #[error("this is the current version: make another one current first, or disable it")]
    Current,
    /// Destroyed: nothing happens to it any more.
    #[error("this version of the key is destroyed")]
    Destroyed,
    /// Frozen versions are enabled first.
    #[error("this version of the key is disabled; enable it first")]
    Disabled,
    /// It was current once; a chain takes no key a second time.
    #[error(
        "this version was current before and does not become current again; make the next version with rotate"
    )]
    Past,
    /// It never was current, so there is nothing to retire from.
    #[error("this version is pending; destroy it if it is not wanted")]
    Pending,
    /// Retired versions sign nothing anyway.
    #[error("this version of the key is retired")]
    Retired,
    /// Restored first.
    #[error("this version of the key is scheduled to be destroyed; restore it first")]
    Scheduled,
    /// Only what was scheduled is destroyed.
    #[error("this version of the key is not scheduled to be destroyed")]
    Unscheduled,
    /// The key has no such version.
    #[error("the key has no such version")]
    Unknown,
}

impl Stage {
    /// The word that the store keeps.
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

impl std::str::FromStr for Stage {
    type Err = super::state::UnknownState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Pending, Self::Active, Self::Retiring, Self::Retired, Self::Destroyed];
        all.into_iter().find(|stage| stage.as_str() == text).ok_or(super::state::UnknownState)
    }
}

impl Standing {
    /// In this stage, neither frozen nor doomed.
    pub const fn new(stage: Stage) -> Self {
        Self { stage, frozen: false, doomed: false }
    }

    /// The word of api.md.
    pub const fn state(self) -> KeyState {
        match (self.stage, self.doomed, self.frozen) {
            (Stage::Destroyed, ..) => KeyState::Destroyed,
            (_, true, _) => KeyState::ScheduledDestroy,
            (Stage::Retired, ..) => KeyState::Retired,
            (_, _, true) => KeyState::Disabled,
            (Stage::Pending, ..) => KeyState::Pending,
            (Stage::Active, ..) => KeyState::Active,
            (Stage::Retiring, ..) => KeyState::Retiring,
        }
    }

    /// Whether a version that stands so may be multiplied with.
    ///
    /// # Errors
    /// The reason why not.
    pub const fn may_sign(self) -> Result<(), SigningRefusal> {
        self.state().may_sign()
    }

    /// The same standing after a change to this very version; equal to itself where the change already holds.
    ///
    /// # Errors
    /// The reason why it cannot be.
    pub const fn after(self, change: Change) -> Result<Self, Refusal> {
        use Stage::{Active, Destroyed, Pending, Retired, Retiring};
        if self.doomed {
            return match change {
                Change::ScheduleDestroy => Ok(self),
                Change::Restore => Ok(Self { doomed: false, ..self }),
                Change::Destroy => Ok(Self::new(Destroyed)),
                Change::Activate | Change::Disable | Change::Enable | Change::Retire => {
                    Err(Refusal::Scheduled)
                }
            };
        }
        match (change, self.stage) {
            (Change::ScheduleDestroy | Change::Destroy, Destroyed) => Ok(self),
            (_, Destroyed) => Err(Refusal::Destroyed),
            (Change::Restore, _) => Ok(self),
            (Change::Destroy, _) => Err(Refusal::Unscheduled),

            (Change::Activate, Pending) if self.frozen => Err(Refusal::Disabled),
            (Change::Activate, Pending) => Ok(Self::new(Active)),
            (Change::Activate, Active) => Ok(self),
            (Change::Activate, Retiring | Retired) => Err(Refusal::Past),

            (Change::Retire, Retiring | Retired) => Ok(Self::new(Retired)),
            (Change::Retire, Pending) => Err(Refusal::Pending),
            (Change::Retire, Active) | (Change::ScheduleDestroy, Active) => Err(Refusal::Current),
            (Change::ScheduleDestroy, Pending | Retiring | Retired) => Ok(Self { doomed: true, ..self }),

            (Change::Disable | Change::Enable, Retired) => Err(Refusal::Retired),
            (Change::Disable, Pending | Active | Retiring) => Ok(Self { frozen: true, ..self }),
            (Change::Enable, Pending | Active | Retiring) => Ok(Self { frozen: false, ..self }),
        }
    }
}

/// The versions of one key, in any order, and where each stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life(pub Vec<(Version, Standing)>);

impl Life {
    /// What a change to one version does to the key, in the order to be made; nothing where it already holds.
    ///
    /// # Errors
    /// The reason why it cannot be.
    pub fn steps(&self, target: Version, change: Change) -> Result<Vec<Step>, Refusal> {
        let at = |version| self.0.iter().find(|(known, _)| *known == version).map(|(_, standing)| *standing);
        let from = at(target).ok_or(Refusal::Unknown)?;
        let to = from.after(change)?;
        if from == to {
            return Ok(Vec::new());
        }
        let mut steps = vec![Step { version: target, from, to }];
        if change == Change::Activate {
            let current = self.0.iter().find(|(_, standing)| standing.stage == Stage::Active);
            // First the old one leaves: at no time there are two. A frozen one stays frozen.
            if let Some(&(version, from)) = current {
                steps.insert(0, Step { version, from, to: Standing { stage: Stage::Retiring, ..from } });
            }
        }
        Ok(steps)
    }

    /// The number and the stage of the version that is made next: only the first one is current at once.
    pub fn next(&self) -> Option<(Version, Stage)> {
        match self.0.iter().map(|(version, _)| version.number()).max() {
            None => Some((Version::FIRST, Stage::Active)),
            Some(newest) => Some((Version::new(newest.checked_add(1)?)?, Stage::Pending)),
        }
    }
}

#[cfg(test)]
mod tests;
