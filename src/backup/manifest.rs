//! Manifest of a backup archive: what it holds, with the hash of each file; and its signature.

use audit_log::{StatementKind, VerifierKey};
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

/// The signature of a manifest, by the key that signs the checkpoints of the audit log.
#[derive(Clone, Debug)]
pub struct Signature {
    /// The key, as the archive names it: the writer of the archive chose it.
    pub key: VerifierKey,
    /// The signed note.
    pub note: String,
}

impl Signature {
    /// The entry in the archive: the key on a line of its own, then the note.
    pub(super) fn to_text(&self) -> String {
        format!("{}\n{}", self.key, self.note)
    }

    /// The signature in an entry, if it is one of the manifest with this SHA-256.
    pub(super) fn of(manifest: [u8; 32], text: &[u8]) -> Option<Self> {
        let (key, note) = std::str::from_utf8(text).ok()?.split_once('\n')?;
        let key: VerifierKey = key.parse().ok()?;
        let line = StatementKind::BackupManifest.open(note.as_bytes(), &key).ok()?;
        (line == hex::encode(manifest)).then(|| Self { key, note: note.to_owned() })
    }
}
