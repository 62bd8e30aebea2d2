//! Guarded memory for secrets.

/// Why memory for secrets could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ArenaError {
    /// The kernel has no `memfd_secret` and the settings insist on it.
    #[error("the kernel has no memfd_secret, and require_secret_memory insists on it")]
    NoSecretMemory,
    /// The limit on locked memory is too low.
    #[error(
        "RLIMIT_MEMLOCK is {limit} bytes and {needed} more are needed; raise it (ulimit -l, LimitMEMLOCK=)"
    )]
    LockLimit {
        /// The soft limit, bytes.
        limit: u64,
        /// Bytes that were to be locked.
        needed: usize,
    },
    /// Another refusal of the kernel.
    #[error("{call} failed")]
    System {
        /// The system call.
        call: &'static str,
        /// What it said.
        #[source]
        source: std::io::Error,
    },
}
