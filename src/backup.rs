//! Backup archive of an installation, taken beside the running service, and its restore.
//!
//! A tar compressed with zstd: `store.sqlite`, `token/…` (SoftHSM only), `audit/…`, then
//! `manifest.json` with the SHA-256 of each file, and `manifest.sig`, by which the checkpoint key
//! vouches for the manifest. The order makes it consistent: the store first,
//! so that the token, copied after it, has every key that the store names; the log last, so that it
//! has every record of both. A store that changed meanwhile is copied again: a start refuses one that
//! is older than the log. Every secret in it is ciphertext. The PIN is not in it; the operator
//! brings the PIN file to a restore. Not for: schedules, upload, tokens of other modules.

mod archive;
mod bounds;
mod error;
mod manifest;
mod restore;
mod staging;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::store::{StoreCopy, StoreError};
use archive::Archive;
use audit_log::Snapshot;

pub use error::BackupError;
pub use manifest::{Entry, Manifest, Signature};
pub use restore::{Restore, restore};
pub use staging::JOURNAL;

/// How often a store that changes all the time is copied; a restore of the last copy may need
/// `serve --accept-store-rollback`.
const ATTEMPTS: usize = 30;
/// The pause between them.
const PAUSE: Duration = Duration::from_millis(100);

/// Paths of what is saved or restored.
#[derive(Clone, Debug)]
pub struct BackupPaths {
    /// The database of the store.
    pub store: PathBuf,
    /// Copies the database.
    pub snapshot: fn(&Path) -> Result<StoreCopy, StoreError>,
    /// The number of its newest change.
    pub newest_change: fn(&Path) -> Result<u64, StoreError>,
    /// The directory of the audit log.
    pub audit: PathBuf,
    /// SoftHSM's directory with `tokens/` and `backup/`; none for another module, whose vendor
    /// saves its own.
    pub token: Option<PathBuf>,
}

/// Writes an archive: complete and durable, or not at all. The service may run. `sign` gets the SHA-256 of the
/// manifest.
///
/// # Errors
/// When something cannot be read or written, or the file exists.
pub fn write(
    paths: &BackupPaths,
    to: &Path,
    created_at: String,
    sign: impl FnOnce([u8; 32]) -> Option<Signature>,
) -> Result<(Manifest, Option<Signature>), BackupError> {
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let mut attempt = 1;
    let (mut archive, key_versions, Snapshot { files, records }) = loop {
        let (archive, store, log) = begin(paths, to)?;
        if attempt == ATTEMPTS || (paths.newest_change)(&paths.store)? == store.change {
            break (archive, store.key_versions, log);
        }
        attempt += 1;
        drop(archive);
        std::thread::sleep(PAUSE);
    };
    for part in files {
        archive.snapshot_file(&format!("audit/{}", part.name), part)?;
    }
    let manifest = Manifest {
        format: 1,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        created_at,
        key_versions,
        audit_records: records,
        token: paths.token.is_some(),
        files: Vec::new(),
    };
    archive.finish(manifest, sign)
}

/// An archive with store and token, and the log as it is after both.
fn begin(paths: &BackupPaths, to: &Path) -> Result<(Archive, StoreCopy, Snapshot), BackupError> {
    let mut archive = Archive::create(to)?;
    let store = (paths.snapshot)(&paths.store)?;
    archive.bytes("store.sqlite", &store.bytes)?;
    if let Some(token) = &paths.token {
        for name in ["tokens", "backup"] {
            archive.directory(&format!("token/{name}"), &token.join(name))?;
        }
    }
    Ok((archive, store, audit_log::snapshot(&paths.audit)?))
}
