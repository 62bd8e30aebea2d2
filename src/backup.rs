//! Backup archive of an installation, taken beside the running service, and its restore.
//!
//! A tar compressed with zstd: `store.sqlite`, `token/…` (SoftHSM only), `audit/…`, and last
//! `manifest.json` with the SHA-256 of each file. The order makes it consistent: the store first,
//! so that the token, copied after it, has every key that the store names; the log last, so that it
//! has every record of both. Every secret in it is ciphertext. The PIN is not in it; the operator
//! brings the PIN file to a restore. Not for: schedules, upload, tokens of other modules.

mod archive;
mod bounds;
mod error;
mod manifest;
mod restore;

use std::path::{Path, PathBuf};

use crate::store::StoreError;
use archive::Archive;

pub use error::BackupError;
pub use manifest::{Entry, Manifest};
pub use restore::restore;

/// Copies a database and counts its key versions.
type CopyStore = fn(&Path) -> Result<(Vec<u8>, usize), StoreError>;

/// Paths of what is saved or restored.
#[derive(Clone, Debug)]
pub struct BackupPaths {
    /// The database of the store.
    pub store: PathBuf,
    /// Copies the database and counts its key versions.
    pub snapshot: CopyStore,
    /// The directory of the audit log.
    pub audit: PathBuf,
    /// SoftHSM's directory with `tokens/` and `backup/`; none for another module, whose vendor
    /// saves its own.
    pub token: Option<PathBuf>,
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
    let (store, key_versions) = (paths.snapshot)(&paths.store)?;
    archive.bytes("store.sqlite", &store)?;
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
