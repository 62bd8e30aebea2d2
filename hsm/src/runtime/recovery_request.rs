//! Messages to the supervisor. A leaf.

/// A message to the supervisor.
pub(crate) enum SupervisorEvent {
    Recover(RecoveryRequest),
    /// A thread found that the lease is lost.
    Look,
    Leave,
}

/// A failure that a thread saw.
pub(crate) struct RecoveryRequest {
    /// Epoch of the connection it was seen on; a request of an earlier epoch is answered already.
    pub(crate) epoch: u64,
    pub(crate) action: RecoveryAction,
}

/// What recovers the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecoveryAction {
    LogIn,
    Reinitialise,
    Stop,
}

impl RecoveryAction {
    /// Its name in the log.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::LogIn => "log in",
            Self::Reinitialise => "reinitialise",
            Self::Stop => "stop",
        }
    }
}
