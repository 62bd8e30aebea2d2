//! Health report of the enclave. Not for metrics or readiness rules: the service derives those.

use std::time::Duration;

use crate::arena::SecretMemory;
use crate::key::KeyId;

/// Whether the token serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// Logged in, last canary good.
    Ready,
    /// A failure was seen and the supervisor recovers the token; operations are refused meanwhile.
    Recovering {
        /// What was seen.
        cause: String,
    },
    /// Stopped until an operator acts and the service is restarted, e.g. after a refused PIN.
    Stopped {
        /// What was seen.
        cause: String,
    },
}

/// Outcome of the last canary check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanaryReport {
    /// Whether the canary record was found, decrypted and right.
    pub passed: bool,
    /// Time since that check ended.
    pub age: Duration,
}

/// Other processes whose lease of the token this process removed at its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TakeOver {
    /// What their leases said. Empty: no other lease was there.
    pub holders: Vec<String>,
    /// Whether they were asked first, and did not answer.
    pub is_asked: bool,
}

/// Objects of the token that are not sound records; none of them but a lease is ever deleted by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Keys whose record does not open: torn, tampered with, not theirs, or the token is at fault. Each is refused and
    /// tried again at every check of the canary; the others sign.
    pub unreadable: Vec<KeyId>,
    /// Keys with more than one identical record.
    pub duplicated: Vec<KeyId>,
    /// Objects of other applications.
    pub foreign: usize,
    /// Objects left by an interrupted creation: no label, no value, or no readable class.
    pub incomplete: usize,
    /// Leases of other processes, which this one removed at its start.
    pub taken_over: TakeOver,
}

/// A snapshot for health checks and `doctor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether the token serves.
    pub token: TokenState,
    /// Whether this process is logged in to the token.
    pub logged_in: bool,
    /// Last canary check; none before the first.
    pub canary: Option<CanaryReport>,
    /// Operations that wait for a worker.
    pub queue_depth: usize,
    /// Worker threads that can take work.
    pub workers: usize,
    /// Worker threads that have been inside one call for too long.
    pub stuck_workers: usize,
    /// Whether a call is out for longer than the stall timeout, and none has succeeded since it began.
    pub stalled: bool,
    /// Kind of memory that holds scalars.
    pub secret_memory: SecretMemory,
    /// Usable keys.
    pub keys: usize,
    /// What was wrong with the token's objects at start, and the keys that cannot be read now.
    pub findings: Findings,
    /// How many times the connection to the token was re-established.
    pub recoveries: u64,
}
