//! What clients are told about the life of a key.
//!
//! Not for: the audit log, which has records of its own for more than this.

use super::lifecycle::{LifecycleState, Transition};

/// Something that happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A version will be destroyed at a date.
    DestroyScheduled,
    /// A version is destroyed in the token.
    Destroyed,
    /// The next version is to become current at a date.
    RotationDue,
    /// The schedule could not do what was due.
    RotationFailed,
    /// A version became the current one.
    VersionActivated,
    /// A version was made.
    VersionCreated,
    /// A version refuses from now on.
    VersionRetired,
    /// A version is no longer current.
    VersionRetiring,
}

impl EventKind {
    /// Its word in events and webhooks.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DestroyScheduled => "destroy.scheduled",
            Self::Destroyed => "destroyed",
            Self::RotationDue => "rotation.due",
            Self::RotationFailed => "rotation.failed",
            Self::VersionActivated => "version.activated",
            Self::VersionCreated => "version.created",
            Self::VersionRetired => "version.retired",
            Self::VersionRetiring => "version.retiring",
        }
    }
}

impl Transition {
    /// What clients are told of it. A destruction is told when the token has done it, not here.
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
