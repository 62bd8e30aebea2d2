//! Errors of the store.

use thiserror::Error;

/// Why the store did not do something.
#[derive(Debug, Error)]
pub enum StoreError {
    /// A row changed since it was read; nothing was written.
    #[error("version {0} of the key changed meanwhile; nothing was written")]
    Conflict(crate::key::KeyVersionNumber),
    /// The database holds something that this program never writes.
    #[error("the store holds an invalid row: {0}")]
    Corrupt(String),
    /// `init` over an existing store.
    #[error("the store exists already")]
    Exists,
    /// The file could not be created.
    #[error("cannot create the file of the store")]
    File(#[source] std::io::Error),
    /// The kernel gave no randomness.
    #[error("the kernel returned no randomness")]
    Random(#[source] getrandom::Error),
    /// Another version of this program wrote the store.
    #[error(
        "the store has schema version {found} and this program needs version {needed}: \
         there is no migration; use the avs-kms version that made it, or start with a new data directory"
    )]
    Schema {
        /// The version in the file.
        found: i64,
        /// The version of this program.
        needed: i64,
    },
    /// SQLite failed.
    #[error("the store cannot be read or written")]
    Sqlite(#[from] rusqlite::Error),
    /// The task that used the database panicked.
    #[error("the task that uses the store ended early")]
    Task(#[from] tokio::task::JoinError),
}

/// What a request names does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum VersionNotFound {
    /// The EOA has no key of this name.
    #[error("this EOA has no key of this name; create it with POST /v1/keys")]
    Key,
    /// The key has no such version.
    #[error("the key has no such version")]
    Version,
}
