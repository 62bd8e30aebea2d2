//! State of one version of a key, as the API shows it. [`VersionStatus::state`] derives it, and
//! nothing else does.
//!
//! [`VersionStatus::state`]: super::lifecycle::VersionStatus::state

use std::str::FromStr;

use thiserror::Error;

/// State of one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyState {
    /// The current version. A key has exactly one.
    Active,
    /// Will be destroyed at its date unless it is restored. Does not sign.
    DestroyScheduled,
    /// Destroyed in the token. Final.
    Destroyed,
    /// Disabled by an operator until it is enabled again. Does not sign.
    Disabled,
    /// Created, not yet current. Signs when a request names it.
    Pending,
    /// Kept, does not sign.
    Retired,
    /// No longer current. Signs when a request names its number.
    Retiring,
}

/// Reason why a version does not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SigningRefusal {
    /// The version is destroyed or scheduled for destruction.
    #[error("this version of the key is destroyed or scheduled to be")]
    Destroyed,
    /// The version is disabled.
    #[error("this version of the key is disabled")]
    Disabled,
    /// The version is retired.
    #[error("this version of the key is retired")]
    Retired,
}

impl KeyState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Active,
        Self::DestroyScheduled,
        Self::Destroyed,
        Self::Disabled,
        Self::Pending,
        Self::Retired,
        Self::Retiring,
    ];

    /// Name of the state in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::DestroyScheduled => "destroy_scheduled",
            Self::Destroyed => "destroyed",
            Self::Disabled => "disabled",
            Self::Pending => "pending",
            Self::Retired => "retired",
            Self::Retiring => "retiring",
        }
    }

    /// Whether a version in this state may sign.
    ///
    /// # Errors
    /// The reason why it may not.
    pub const fn may_sign(self) -> Result<(), SigningRefusal> {
        match self {
            Self::Active | Self::Pending | Self::Retiring => Ok(()),
            Self::Disabled => Err(SigningRefusal::Disabled),
            Self::Retired => Err(SigningRefusal::Retired),
            Self::Destroyed | Self::DestroyScheduled => Err(SigningRefusal::Destroyed),
        }
    }
}

/// The text is not the name of a state.
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
        for (name, refusal) in [
            ("pending", None),
            ("active", None),
            ("retiring", None),
            ("retired", Some(SigningRefusal::Retired)),
            ("disabled", Some(SigningRefusal::Disabled)),
            ("destroy_scheduled", Some(SigningRefusal::Destroyed)),
            ("destroyed", Some(SigningRefusal::Destroyed)),
        ] {
            assert_eq!(name.parse().map(|state: KeyState| state.may_sign().err()), Ok(refusal), "{name}");
        }
    }
}
