//! Versions of a key and the state of each (api.md, Keys).

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use thiserror::Error;

/// The number of a version of a key, from 1, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(NonZeroU32);

impl Version {
    /// The first version of every key.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The version with this number, if it is not 0.
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// The number.
    pub const fn number(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Which version of a key a request means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionSelector {
    /// The active one. The default.
    Current,
    /// The newest pending one.
    Next,
    /// The one with this number.
    Number(Version),
    /// The one that was active at this time, unix seconds.
    ActiveAt(i64),
}

/// The state of one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Current; exactly one version of a key is.
    Active,
    /// Destroyed in the token, for ever.
    Destroyed,
    /// Frozen, reversibly.
    Disabled,
    /// Made and provable, not yet current.
    Pending,
    /// Refuses to sign, kept.
    Retired,
    /// No longer current, signs when asked for by number.
    Retiring,
    /// Refuses to sign; destroyed at its date unless restored.
    ScheduledDestroy,
}

/// Why a version in some state does not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SigningRefusal {
    /// Destroyed, or about to be.
    #[error("this version of the key is destroyed or scheduled to be")]
    Destroyed,
    /// Frozen by an operator.
    #[error("this version of the key is disabled")]
    Disabled,
    /// Retired after a rotation.
    #[error("this version of the key is retired")]
    Retired,
}

impl KeyState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Active,
        Self::Destroyed,
        Self::Disabled,
        Self::Pending,
        Self::Retired,
        Self::Retiring,
        Self::ScheduledDestroy,
    ];

    /// The word of api.md.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Destroyed => "destroyed",
            Self::Disabled => "disabled",
            Self::Pending => "pending",
            Self::Retired => "retired",
            Self::Retiring => "retiring",
            Self::ScheduledDestroy => "scheduled_destroy",
        }
    }

    /// Whether a version in this state may be multiplied with.
    ///
    /// # Errors
    /// The reason why not.
    pub const fn may_sign(self) -> Result<(), SigningRefusal> {
        match self {
            Self::Active | Self::Pending | Self::Retiring => Ok(()),
            Self::Disabled => Err(SigningRefusal::Disabled),
            Self::Retired => Err(SigningRefusal::Retired),
            Self::Destroyed | Self::ScheduledDestroy => Err(SigningRefusal::Destroyed),
        }
    }
}

/// The text is not a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a key state")]
pub struct UnknownState;

impl FromStr for KeyState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(UnknownState)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pending_active_and_retiring_versions_sign() {
        for (word, refusal) in [
            ("pending", None),
            ("active", None),
            ("retiring", None),
            ("retired", Some(SigningRefusal::Retired)),
            ("disabled", Some(SigningRefusal::Disabled)),
            ("scheduled_destroy", Some(SigningRefusal::Destroyed)),
            ("destroyed", Some(SigningRefusal::Destroyed)),
        ] {
            assert_eq!(word.parse().map(|state: KeyState| state.may_sign().err()), Ok(refusal), "{word}");
        }
    }

    #[test]
    fn version_zero_does_not_exist() {
        assert_eq!(Version::new(0), None);
        assert_eq!(Version::new(1), Some(Version::FIRST));
    }
}
