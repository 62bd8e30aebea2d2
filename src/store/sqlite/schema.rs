//! The schema, and how a file is created, opened and copied. Everything here blocks.

use std::path::Path;

use rusqlite::{Connection, MAIN_DB, OpenFlags, OptionalExtension, params};
use trusted_files::AtomicFile;

use super::objects;
use super::records::{self, RECORDS};
use crate::store::authentic::{Head, Rows};
use crate::store::error::StoreError;

/// The `user_version` of a file that this program reads; 1 to 4 are files of avs-kms 0.1.
pub(super) const VERSION: i64 = 9;

/// A version without points is reserved: its creation was begun and is not complete. `state` is the state of the
/// lifecycle; a version that is to be destroyed has a `destroy_at`, one whose record is gone a `destroyed_at`.
/// `applied_intent` holds the intents of the audit log that were carried out, for recovery at the next start;
/// `taken_away` those that were recorded without the token, by the hashes of their records, for ever.
/// `store_change` has the last changes, by which a start follows the chain from what the audit log knows to the head.
/// The rows of `records` authenticate themselves. `mac` authenticates its row, `store_head` all of them (`store::authentic`).
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
        destroy_intent BLOB CHECK (length(destroy_intent) = 56),
        mac BLOB NOT NULL CHECK (length(mac) = 32),
        UNIQUE (eoa, name, version),
        CHECK ((g1 IS NULL) = (g2 IS NULL))
    ) STRICT;
    CREATE INDEX reserved_version ON key_version (eoa, name) WHERE g1 IS NULL;
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
        mac BLOB NOT NULL CHECK (length(mac) = 32),
        PRIMARY KEY (eoa, name)
    ) STRICT;
    CREATE TABLE key_policy (
        eoa BLOB NOT NULL CHECK (length(eoa) = 20),
        name TEXT NOT NULL,
        signing TEXT NOT NULL,
        networks TEXT NOT NULL,
        per_minute INTEGER CHECK (per_minute > 0),
        mac BLOB NOT NULL CHECK (length(mac) = 32),
        PRIMARY KEY (eoa, name)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE freeze (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        since INTEGER NOT NULL,
        reason TEXT,
        mac BLOB NOT NULL CHECK (length(mac) = 32)
    ) STRICT;
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
        last_used_at INTEGER,
        mac BLOB NOT NULL CHECK (length(mac) = 32)
    ) STRICT;
    CREATE TABLE store_head (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        installation BLOB NOT NULL CHECK (length(installation) = 16),
        counter INTEGER NOT NULL,
        chain BLOB NOT NULL CHECK (length(chain) = 32),
        root BLOB NOT NULL CHECK (length(root) = 32),
        mac BLOB NOT NULL CHECK (length(mac) = 32)
    ) STRICT;
    CREATE TABLE store_change (
        counter INTEGER PRIMARY KEY,
        root BLOB NOT NULL CHECK (length(root) = 32)
    ) STRICT;
    CREATE TABLE used_challenge (
        nonce BLOB PRIMARY KEY CHECK (length(nonce) = 32),
        expires_at INTEGER NOT NULL,
        mac BLOB NOT NULL CHECK (length(mac) = 32)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE applied_intent (
        intent INTEGER PRIMARY KEY,
        mac BLOB NOT NULL CHECK (length(mac) = 32)
    ) STRICT;
    CREATE TABLE taken_away (
        record BLOB PRIMARY KEY CHECK (length(record) = 32),
        mac BLOB NOT NULL CHECK (length(mac) = 32)
    ) STRICT, WITHOUT ROWID;
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
pub(super) fn create(path: &Path, rows: &Rows, records: &[(String, Vec<u8>)]) -> Result<(), StoreError> {
    if path.exists() {
        return Err(StoreError::Exists);
    }
    // SQLite gives its journal files the mode of the database.
    let new = AtomicFile::create(path, 0o600).map_err(StoreError::File)?;
    let mut connection = connect(&new.path())?;
    fill(&mut connection, rows)?;
    for (label, value) in records {
        records::insert(&connection, label, value)?;
    }
    connection.close().map_err(|(_, error)| error)?;
    new.commit_new().map_err(StoreError::File)
}

/// Tables and head of an empty store.
pub(super) fn fill(connection: &mut Connection, rows: &Rows) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.execute_batch(RECORDS)?;
    let (head, mac) = rows.head();
    transaction.execute(
        "INSERT INTO store_head (only, installation, counter, chain, root, mac) VALUES (1, ?1, ?2, ?3, ?4, ?5)",
        params![rows.key().installation(), head.counter, head.chain, head.root, mac],
    )?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(transaction.commit()?)
}

/// Id of the installation that the file says it belongs to; proven by the MAC of the head alone.
pub(super) fn installation(connection: &Connection) -> Result<[u8; 16], StoreError> {
    let found =
        connection.query_row("SELECT installation FROM store_head", [], |row| row.get(0)).optional()?;
    found.ok_or(StoreError::RowsMissing)
}

/// The head in the file, and its MAC.
pub(super) fn head(connection: &Connection) -> Result<(Head, Vec<u8>), StoreError> {
    let head = connection.query_row("SELECT counter, chain, root, mac FROM store_head", [], |row| {
        let head = Head { counter: row.get(0)?, chain: row.get(1)?, root: row.get(2)? };
        Ok((head, row.get(3)?))
    });
    match head.optional()? {
        Some(head) => Ok(head),
        None => Err(StoreError::RowsMissing),
    }
}

/// How many changes a crash may leave that the audit log knows nothing of.
const CHANGES_KEPT: u64 = 1_000;

/// The changes after this one, oldest first: counter and root.
pub(super) fn changes_after(
    connection: &Connection,
    counter: u64,
) -> Result<Vec<(u64, [u8; 32])>, StoreError> {
    let sql = "SELECT counter, root FROM store_change WHERE counter > ?1 ORDER BY counter";
    let mut statement = connection.prepare(sql)?;
    let changes = statement.query_map([counter], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(changes.collect::<Result<_, _>>()?)
}

/// Moves the head on by one change.
pub(super) fn write_head(
    connection: &Connection,
    before: &Head,
    head: &Head,
    mac: &[u8; 32],
) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO store_change (counter, root) VALUES (?1, ?2)",
        params![head.counter, head.root],
    )?;
    let oldest = head.counter.saturating_sub(CHANGES_KEPT);
    connection.execute("DELETE FROM store_change WHERE counter <= ?1", params![oldest])?;
    let changed = connection.execute(
        "UPDATE store_head SET counter = ?1, chain = ?2, root = ?3, mac = ?4 WHERE counter = ?5",
        params![head.counter, head.chain, head.root, mac, before.counter],
    )?;
    if changed == 1 { Ok(()) } else { Err(StoreError::RowsMissing) }
}

/// Opens an existing store of this schema version.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path)?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found != VERSION {
        return Err(StoreError::Schema { found, needed: VERSION });
    }
    objects::compare(&connection, &[SCHEMA, RECORDS])?;
    let verdict: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
    if verdict != "ok" {
        return Err(StoreError::Corrupt(verdict));
    }
    records::check_number(&connection)?;
    Ok(connection)
}

/// A copy of a store.
#[derive(Debug)]
pub struct StoreCopy {
    /// The bytes of its file.
    pub bytes: Vec<u8>,
    /// How many key versions it has.
    pub key_versions: usize,
    /// The number of its newest change.
    pub change: u64,
}

/// The number of the newest change of a store that may be in use. Blocks.
///
/// # Errors
/// When there is no store, or it cannot be read.
pub fn newest_change(of: &Path) -> Result<u64, StoreError> {
    change_in(&objects::open_to_read(of, &[SCHEMA, RECORDS])?)
}

fn change_in(connection: &Connection) -> Result<u64, StoreError> {
    Ok(connection.query_row("SELECT counter FROM store_head", [], |row| row.get(0))?)
}

/// Copies a store that may be in use. In memory: a file of it would need a place that no other user reads. Blocks.
///
/// # Errors
/// When there is no store, or it cannot be read.
pub fn snapshot(from: &Path) -> Result<StoreCopy, StoreError> {
    let mut connection = objects::open_to_read(from, &[SCHEMA, RECORDS])?;
    connection.execute_batch("BEGIN")?; // all reads see one state
    let change = change_in(&connection)?;
    let count: u32 =
        connection
            .query_row("SELECT count(*) FROM key_version WHERE g1 IS NOT NULL", [], |row| row.get(0))?;
    let bytes = connection.serialize(MAIN_DB)?.to_vec();
    Ok(StoreCopy { bytes, key_versions: count as usize, change })
}

pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "secure_delete", true)?; // a destroyed record leaves no copy in a free page
    connection.pragma_update(None, "temp_store", "MEMORY")?; // the sandbox has no directory for temporary files
    Ok(connection)
}
