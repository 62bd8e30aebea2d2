//! Lanes of admission control: which operations share a limit. Not for: the limits (`http::limits::admission`).

/// Requests that share a concurrency limit and a queue: those of one lane cannot starve those of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Health and metrics: no limit, whatever else is under way.
    Exempt,
    /// What uses a key, and what needs no lane of its own.
    Use,
    /// Changes of keys, one at a time; each takes a place of [`Lane::Use`], too.
    Change,
    /// Reads with credentials.
    Read,
    /// Searches of the audit log with credentials; they take threads from the requests that write to it.
    Search,
    /// Proofs of the audit log, for everyone; they take threads, too.
    Proof,
    /// Login challenges and logins.
    Login,
    /// What everyone may ask for, and paths that do not exist.
    Open,
    /// What only takes away, beside all queues; some places for each EOA.
    TakeAway,
}
