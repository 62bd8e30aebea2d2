//! Messages to the supervisor. A leaf.

/// A message to the supervisor.
pub(crate) enum SupervisorEvent {
    Recover(RecoveryRequest),
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
