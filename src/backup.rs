//! Backup archive of an installation, taken beside the running service, and its restore.
//!
//! A tar compressed with zstd: `store.sqlite`, `token/…` (SoftHSM only), `audit/…`, and last
//! `manifest.json` with the SHA-256 of each file. The order makes it consistent: the store first,
//! so that the token, copied after it, has every key that the store names; the log last, so that it
//! has every record of both. Every secret in it is ciphertext. The PIN is not in it; the operator
//! brings the PIN file to a restore. Not for: schedules, upload, tokens of other modules.

mod archive;
mod restore;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::store::{Store, StoreError};
use archive::Archive;
use audit_log::ReadError;

pub use restore::restore;

/// Paths of what is saved or restored.
#[derive(Clone, Debug)]
pub struct BackupPaths {
    /// The database of the store.
    pub store: PathBuf,
    /// The directory of the audit log.
    pub audit: PathBuf,
    /// SoftHSM's directory with `tokens/` and `backup/`; none for another module, whose vendor
    /// saves its own.
    pub token: Option<PathBuf>,
}

/// The manifest of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format of the archive: 1.
    pub format: u32,
    /// Version of the program that wrote it.
    pub version: String,
    /// Time of the backup, RFC 3339.
    pub created_at: String,
    /// Number of key versions in the store.
    pub key_versions: usize,
    /// Number of records in the audit log.
    pub audit_records: u64,
    /// Whether SoftHSM's token is in it.
    pub token: bool,
    /// Every file but this one, in order.
    pub files: Vec<Entry>,
}

/// One file of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its path in the archive.
    pub path: String,
    /// Its bytes.
    pub bytes: u64,
    /// Its SHA-256, hex.
    pub sha256: String,
}

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
    /// The store cannot be copied.
    #[error("the store cannot be copied")]
    Store(#[from] StoreError),
}

impl BackupError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

/// Writes an archive: complete and durable, or not at all. The service may run.
///
/// # Errors
/// When something cannot be read or written, or the file exists.
pub fn write(paths: &BackupPaths, to: &Path, created_at: String) -> Result<Manifest, BackupError> {
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let mut archive = Archive::create(to)?;
    let snapshot = archive.beside("store");
    let _remove = RemoveOnDrop(snapshot.clone());
    let key_versions = Store::snapshot(&paths.store, &snapshot)?;
    archive.file("store.sqlite", &snapshot)?;
    if let Some(token) = &paths.token {
        for name in ["tokens", "backup"] {
            archive.directory(&format!("token/{name}"), &token.join(name))?;
        }
    }
    let audit_log::Snapshot { files, records } = audit_log::snapshot(&paths.audit)?;
    for part in files {
        archive.snapshot_file(&format!("audit/{}", part.name), part)?;
    }
    archive.finish(Manifest {
        format: 1,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        created_at,
        key_versions,
        audit_records: records,
        token: paths.token.is_some(),
        files: Vec::new(),
    })
}

/// Removes a file when dropped.
struct RemoveOnDrop(PathBuf);

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
