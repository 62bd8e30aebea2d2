//! Manifest of a backup archive: what it holds, with the hash of each file.

use serde::{Deserialize, Serialize};

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
