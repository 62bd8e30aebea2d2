//! The schema, and how a file is created, opened and copied. Everything here blocks.

use std::path::Path;

use rusqlite::{Connection, MAIN_DB, OpenFlags};
use trusted_files::AtomicFile;

use crate::store::error::StoreError;

/// The `user_version` of a file that this program reads; 1 to 4 are files of avs-kms 0.1.
pub(super) const VERSION: i64 = 5;

/// A version without points is reserved: its creation was begun and is not complete. `state` is the state of the
/// lifecycle; a version that is to be destroyed has a `destroy_at`, one whose record is gone a `destroyed_at`.
/// `applied_intent` holds the intents of the audit log that were carried out, for recovery at the next start.
const SCHEMA: &str = "
    CREATE TABLE key_version (
        id BLOB PRIMARY KEY CHECK (length(id) = 16),
        eoa BLOB NOT NULL CHECK (length(eoa) = 20),
        name TEXT NOT NULL,
        version INTEGER NOT NULL CHECK (version > 0),
        state TEXT NOT NULL,
        disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
        g1 BLOB CHECK (length(g1) = 64),
        g2 BLOB CHECK (length(g2) = 128),
        created_at INTEGER NOT NULL,
        activated_at INTEGER,
        superseded_at INTEGER,
        retired_at INTEGER,
        destroy_at INTEGER,
        destroyed_at INTEGER,
        announced_at INTEGER,
        UNIQUE (eoa, name, version),
        CHECK ((g1 IS NULL) = (g2 IS NULL))
    ) STRICT;
    CREATE UNIQUE INDEX one_active_version ON key_version (eoa, name) WHERE state = 'active';
    CREATE TABLE binding (
        id BLOB PRIMARY KEY REFERENCES key_version (id),
        chain_id INTEGER NOT NULL,
        registry TEXT NOT NULL,
        verifying_contract BLOB NOT NULL CHECK (length(verifying_contract) = 20),
        operator BLOB NOT NULL CHECK (length(operator) = 20),
        avs BLOB CHECK (length(avs) = 20),
        operator_set_id INTEGER,
        held INTEGER,
        held_since INTEGER
    ) STRICT;
    CREATE TABLE schedule (
        eoa BLOB NOT NULL CHECK (length(eoa) = 20),
        name TEXT NOT NULL,
        every_days INTEGER NOT NULL CHECK (every_days > 0),
        announce_days INTEGER NOT NULL,
        overlap_days INTEGER NOT NULL,
        activate INTEGER NOT NULL CHECK (activate IN (0, 1)),
        retire_on TEXT NOT NULL,
        jitter_hours INTEGER NOT NULL,
        PRIMARY KEY (eoa, name)
    ) STRICT;
    CREATE TABLE key_policy (
        eoa BLOB NOT NULL CHECK (length(eoa) = 20),
        name TEXT NOT NULL,
        signing TEXT NOT NULL,
        networks TEXT NOT NULL,
        per_minute INTEGER CHECK (per_minute > 0),
        PRIMARY KEY (eoa, name)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE access_token (
        id TEXT PRIMARY KEY,
        hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
        subject TEXT NOT NULL,
        scopes TEXT NOT NULL,
        networks TEXT NOT NULL,
        keys TEXT NOT NULL,
        client_certificate TEXT,
        login INTEGER NOT NULL CHECK (login IN (0, 1)),
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        revoked_at INTEGER,
        last_used_at INTEGER
    ) STRICT;
    CREATE TABLE challenge_key (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        key BLOB NOT NULL CHECK (length(key) = 32)
    ) STRICT;
    CREATE TABLE used_challenge (
        nonce BLOB PRIMARY KEY CHECK (length(nonce) = 32),
        expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE applied_intent (intent INTEGER PRIMARY KEY) STRICT;
    CREATE TABLE event (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        eoa BLOB NOT NULL CHECK (length(eoa) = 20),
        name TEXT NOT NULL,
        version INTEGER NOT NULL,
        at INTEGER NOT NULL,
        facts TEXT NOT NULL
    ) STRICT;
    CREATE TABLE webhook (id TEXT PRIMARY KEY) STRICT;
    CREATE TABLE delivery (
        webhook TEXT NOT NULL,
        seq INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        due_at INTEGER NOT NULL,
        PRIMARY KEY (webhook, seq)
    ) STRICT;
";

/// Creates an empty store, written beside its place and renamed when complete.
pub(super) fn create(path: &Path) -> Result<(), StoreError> {
    if path.exists() {
        return Err(StoreError::Exists);
    }
    // SQLite gives its journal files the mode of the database.
    let new = AtomicFile::create(path, 0o600).map_err(StoreError::File)?;
    let mut connection = connect(&new.path())?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)?;
    new.commit_new().map_err(StoreError::File)
}

/// Opens an existing store of this schema version.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path)?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found != VERSION {
        return Err(StoreError::Schema { found, needed: VERSION });
    }
    let verdict: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    if verdict != "ok" {
        return Err(StoreError::Corrupt(verdict));
    }
    Ok(connection)
}

/// Copies a store that may be in use, as the bytes of its file, and counts its key versions. In memory: a file of
/// it would need a place that no other user reads. Blocks.
///
/// # Errors
/// When there is no store, or it cannot be read.
pub fn snapshot(from: &Path) -> Result<(Vec<u8>, usize), StoreError> {
    let mut connection = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.execute_batch("BEGIN")?; // both reads see one state
    let count: u32 =
        connection
            .query_row("SELECT count(*) FROM key_version WHERE g1 IS NOT NULL", [], |row| row.get(0))?;
    let bytes = connection.serialize(MAIN_DB)?.to_vec();
    Ok((bytes, count as usize))
}

pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?; // the sandbox has no directory for temporary files
    Ok(connection)
}
