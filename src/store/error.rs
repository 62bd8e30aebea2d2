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
    /// Rows that this installation did not write.
    #[error(
        "the store was changed from outside the service: {0} is not as this service wrote it; nothing was signed; \
         restore a backup (docs/operations/runbook.md)"
    )]
    Forged(String),
    /// Rows were deleted, or older ones put back.
    #[error(
        "the store was changed from outside the service: rows were deleted from it or put back as they were earlier; \
         nothing was signed; restore a backup (docs/operations/runbook.md)"
    )]
    RowsMissing,
    /// The head was not written under this token's store key.
    #[error(
        "the store is not of this installation: its head was not written with this token's store key; nothing was \
         signed; use the store and the token that belong together"
    )]
    OtherInstallation,
    /// The store is older than what the audit log knows of it.
    #[error(
        "the store is not the one that the audit log knows: the store is at change {found} and the log at change \
         {known}; an older copy was put back, or a backup restored; nothing was signed; put the newest store back, or \
         accept what is lost with `serve --accept-store-rollback {chain}` (docs/operations/runbook.md)"
    )]
    RolledBack {
        /// The last change in the store.
        found: u64,
        /// The last change in the log.
        known: u64,
        /// The chain in the log, hex.
        chain: String,
    },
    /// `init` over an existing store.
    #[error("the store exists already")]
    Exists,
    /// The file could not be created.
    #[error("cannot create the file of the store")]
    File(#[source] std::io::Error),
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
    /// The audit log cannot be compared with the store.
    #[error("the store cannot be compared with the audit log: {0}")]
    Log(String),
    /// The disk has no space but the reserve, which is kept for what only takes away.
    #[error("the disk of the store is full; nothing was changed; make space")]
    DiskFull,
    /// SQLite failed.
    #[error("the store cannot be read or written")]
    Sqlite(#[from] rusqlite::Error),
    /// The task that used the database panicked.
    #[error("the task that uses the store ended early")]
    Task(#[from] tokio::task::JoinError),
}

impl StoreError {
    /// Whether the disk has no space for the change.
    pub fn is_disk_full(&self) -> bool {
        use rusqlite::ErrorCode::{DiskFull, SystemIoFailure};
        let failed_with = if let Self::Sqlite(error) = self { error.sqlite_error_code() } else { None };
        matches!(self, Self::DiskFull) || matches!(failed_with, Some(DiskFull | SystemIoFailure))
    }

    /// Whether the store was changed from outside the service.
    pub const fn is_tampering(&self) -> bool {
        matches!(
            self,
            Self::Forged(_)
                | Self::RowsMissing
                | Self::OtherInstallation
                | Self::RolledBack { .. }
                | Self::Corrupt(_)
        )
    }
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
