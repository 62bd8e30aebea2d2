//! Errors of a backup and of a restore.

use std::io;
use std::path::{Path, PathBuf};

use audit_log::ReadError;
use thiserror::Error;

use crate::store::StoreError;

/// Why no archive was written, or nothing was restored.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The log cannot be read.
    #[error("the audit log cannot be copied")]
    Audit(#[from] ReadError),
    /// The content is not what the manifest lists.
    #[error("the archive is damaged: {0}")]
    Damaged(String),
    /// A target exists.
    #[error("{} exists; nothing is restored over it", .0.display())]
    Exists(PathBuf),
    /// A restore was interrupted, and its paths are not those of this one.
    #[error(
        "{} is of an interrupted restore to other paths; repeat that restore with its configuration, or remove what it \
         made and then this file",
        .0.display()
    )]
    Interrupted(PathBuf),
    /// The archive has another format.
    #[error("the archive has format {0}; this program reads format 1")]
    Form(u32),
    /// A file or directory cannot be read or written.
    #[error("{}", path.display())]
    Io {
        /// Its path.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// The archive holds a SoftHSM token and the configuration names another module, or the other
    /// way round.
    #[error("{0}")]
    OtherModule(&'static str),
    /// What the restored data needs cannot be made.
    #[error("SoftHSM's configuration cannot be written")]
    Prepare(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The manifest is not signed by a key that is believed.
    #[error("{0}")]
    Signature(String),
    /// The archive holds more than is read.
    #[error("the archive is too large: {0}")]
    TooLarge(String),
    /// Another user can change what is restored.
    #[error("the place of the data directory is not safe")]
    Untrusted(#[source] trusted_files::FileError),
    /// The store cannot be copied.
    #[error("the store cannot be copied")]
    Store(#[from] StoreError),
}

impl BackupError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}
