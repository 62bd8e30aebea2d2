//! What threads tell the thread that recovers the token. A leaf.

/// What the thread can be told.
pub(crate) enum Notice {
    Alarm(Alarm),
    Leave,
}

/// What a thread saw, for the sentinel.
pub(crate) struct Alarm {
    /// Epoch of the link it was seen on; an alarm of an earlier epoch is answered already.
    pub(crate) epoch: u64,
    pub(crate) remedy: Remedy,
}

/// How far to go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    LogIn,
    Reinitialise,
    Stop,
}
