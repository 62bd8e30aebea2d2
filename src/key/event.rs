//! Events in the lifecycle of a key that clients receive.
//!
//! Not for: the audit log, which has its own records of more than these.

use super::lifecycle::{LifecycleState, Transition};

/// Kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A version will be destroyed at a date.
    DestroyScheduled,
    /// A version was destroyed in the token.
    Destroyed,
    /// The next version will become current at a date.
    RotationDue,
    /// A due rotation step failed.
    RotationFailed,
    /// A version became the current one.
    VersionActivated,
    /// A version was created.
    VersionCreated,
    /// A version no longer signs.
    VersionRetired,
    /// A version is no longer current.
    VersionRetiring,
}

impl EventKind {
    /// Its word in events and webhooks.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DestroyScheduled => "version.destroy_scheduled",
            Self::Destroyed => "version.destroyed",
            Self::RotationDue => "version.rotation_due",
            Self::RotationFailed => "version.rotation_failed",
            Self::VersionActivated => "version.activated",
            Self::VersionCreated => "version.created",
            Self::VersionRetired => "version.retired",
            Self::VersionRetiring => "version.retiring",
        }
    }
}

impl Transition {
    /// The event that clients receive. The event of a destruction follows only after the token
    /// confirmed it.
    pub fn event(&self) -> Option<EventKind> {
        match (self.from.lifecycle, self.to.lifecycle) {
            (from, to) if from == to => (!self.from.destruction_scheduled && self.to.destruction_scheduled)
                .then_some(EventKind::DestroyScheduled),
            (_, LifecycleState::Active) => Some(EventKind::VersionActivated),
            (_, LifecycleState::Retiring) => Some(EventKind::VersionRetiring),
            (_, LifecycleState::Retired) => Some(EventKind::VersionRetired),
            (_, LifecycleState::Destroyed | LifecycleState::Pending) => None,
        }
    }
}
