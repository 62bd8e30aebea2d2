//! What threads tell the thread that recovers the token. A leaf.

/// What the thread can be told.
pub(crate) enum SupervisorEvent {
    Recover(RecoveryRequest),
    Leave,
}

/// What a thread saw, for the supervisor.
pub(crate) struct RecoveryRequest {
    /// Epoch of the connection it was seen on; a request of an earlier epoch is answered already.
    pub(crate) epoch: u64,
    pub(crate) action: RecoveryAction,
}

/// How far to go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecoveryAction {
    LogIn,
    Reinitialise,
    Stop,
}
