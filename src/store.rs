//! What must survive and is not secret: which keys exist in which state, the hashes of tokens, logins, policies.
//!
//! One SQLite file (WAL, `synchronous=FULL`: a commit that returned survives a power cut) with an index in
//! memory in front, so that signing never reads the database. Not for: scalars or their ciphertexts (the
//! token has them), history (the audit log has it), or decisions (`key`, `auth`).

mod events;
mod keys;
mod life;
mod logins;
mod policies;
mod schedules;
mod tokens;

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use rusqlite::{Connection, OpenFlags};
use thiserror::Error;

use crate::auth::ChallengeKey;

pub use events::{Delivery, KeyEvent, NewEvent};
pub use keys::VersionNotFound;
pub use life::LifecycleUpdate;
pub use logins::LoggedIn;
pub use schedules::Scope as ScheduleScope;

/// The store: every method may be called from any thread; writes take some milliseconds.
#[derive(Debug)]
pub struct Store {
    /// Writers take this first, then the index: the index never shows what is not committed.
    connection: Mutex<Connection>,
    keys: RwLock<keys::Index>,
    tokens: RwLock<tokens::Index>,
    policies: RwLock<policies::Index>,
    challenge_key: ChallengeKey,
}

/// Why the store did not do something.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The file holds something that this program never writes.
    #[error("the store holds a row that makes no sense: {0}")]
    Corrupt(String),
    /// `init` over an existing store.
    #[error("there is a store already")]
    Exists,
    /// The file could not be made.
    #[error("the file of the store could not be made")]
    File(#[source] std::io::Error),
    /// The kernel gave no randomness.
    #[error("there is no randomness")]
    Random(#[source] getrandom::Error),
    /// The file was written by a newer version of this program.
    #[error("the store has schema version {found}, this program knows versions up to {known}")]
    Schema {
        /// The version in the file.
        found: i64,
        /// The version of this program.
        known: i64,
    },
    /// SQLite said no.
    #[error("the store could not be read or written")]
    Sqlite(#[from] rusqlite::Error),
}

/// The steps from an empty file to what this program knows; a file's `user_version` counts those it has taken.
/// A step that was released is never changed: what is new is a step of its own, after it.
const STEPS: &[&str] = &[KEYS_AND_TOKENS, PINNED_TOKENS, LOGINS_AND_POLICIES, LIVES];

/// The `user_version` of a file that is up to date.
const KNOWN: i64 = STEPS.len() as i64;

/// A version without points is reserved: its creation was begun and not finished.
const KEYS_AND_TOKENS: &str = "
    CREATE TABLE key_version (
        id BLOB PRIMARY KEY CHECK (length(id) = 16),
        eoa BLOB NOT NULL CHECK (length(eoa) = 20),
        name TEXT NOT NULL,
        version INTEGER NOT NULL CHECK (version > 0),
        state TEXT NOT NULL,
        g1 BLOB CHECK (length(g1) = 64),
        g2 BLOB CHECK (length(g2) = 128),
        created_at INTEGER NOT NULL,
        UNIQUE (eoa, name, version),
        CHECK ((g1 IS NULL) = (g2 IS NULL))
    ) STRICT;
    CREATE UNIQUE INDEX one_active_version ON key_version (eoa, name) WHERE state = 'active';
    CREATE TABLE token (
        id TEXT PRIMARY KEY,
        hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
        subject TEXT NOT NULL,
        scopes TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        revoked_at INTEGER
    ) STRICT;
";

/// A token that works over connections with one client certificate only.
const PINNED_TOKENS: &str = "ALTER TABLE token ADD COLUMN client_certificate TEXT;";

/// Tokens of before were all issued on this machine for its own runbooks: they work from loopback.
const LOGINS_AND_POLICIES: &str = "
    ALTER TABLE token ADD COLUMN login INTEGER NOT NULL DEFAULT 0 CHECK (login IN (0, 1));
    ALTER TABLE token ADD COLUMN networks TEXT NOT NULL DEFAULT '127.0.0.0/8 ::1/128';
    ALTER TABLE token ADD COLUMN keys TEXT NOT NULL DEFAULT '';
    ALTER TABLE token ADD COLUMN last_used_at INTEGER;
    CREATE TABLE challenge_key (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        key BLOB NOT NULL CHECK (length(key) = 32)
    ) STRICT;
    CREATE TABLE spent_challenge (
        nonce BLOB PRIMARY KEY CHECK (length(nonce) = 32),
        expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE key_policy (
        eoa BLOB NOT NULL CHECK (length(eoa) = 20),
        name TEXT NOT NULL,
        signing TEXT NOT NULL,
        networks TEXT NOT NULL,
        per_minute INTEGER CHECK (per_minute > 0),
        PRIMARY KEY (eoa, name)
    ) STRICT, WITHOUT ROWID;
";

/// `state` holds the lifecycle state. A version scheduled for destruction has a `destroy_at`, a destroyed one a `destroyed_at`.
/// `change` holds the intents of the audit log that were carried out, so that a start can tell which were not.
const LIVES: &str = "
    ALTER TABLE key_version ADD COLUMN frozen INTEGER NOT NULL DEFAULT 0 CHECK (frozen IN (0, 1));
    ALTER TABLE key_version ADD COLUMN activated_at INTEGER;
    ALTER TABLE key_version ADD COLUMN superseded_at INTEGER;
    ALTER TABLE key_version ADD COLUMN retired_at INTEGER;
    ALTER TABLE key_version ADD COLUMN destroy_at INTEGER;
    ALTER TABLE key_version ADD COLUMN destroyed_at INTEGER;
    ALTER TABLE key_version ADD COLUMN announced_at INTEGER;
    UPDATE key_version SET activated_at = created_at WHERE state = 'active';
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
    CREATE TABLE change (intent INTEGER PRIMARY KEY) STRICT;
    CREATE TABLE event (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        eoa BLOB NOT NULL CHECK (length(eoa) = 20),
        name TEXT NOT NULL,
        version INTEGER NOT NULL,
        at INTEGER NOT NULL,
        facts TEXT NOT NULL
    ) STRICT;
    CREATE TABLE hook (id TEXT PRIMARY KEY) STRICT;
    CREATE TABLE delivery (
        hook TEXT NOT NULL,
        seq INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        due_at INTEGER NOT NULL,
        PRIMARY KEY (hook, seq)
    ) STRICT;
";

impl Store {
    /// Makes an empty store.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn create(path: &Path) -> Result<(), StoreError> {
        if path.exists() {
            return Err(StoreError::Exists);
        }
        // Made aside and renamed when whole; SQLite gives its journal files the mode of the database.
        let aside = path.with_extension("new");
        match std::fs::remove_file(&aside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(StoreError::File(error)),
            Ok(()) | Err(_) => {}
        }
        File::options().write(true).create_new(true).mode(0o600).open(&aside).map_err(StoreError::File)?;
        let mut connection = connect(&aside)?;
        take_steps(&mut connection)?;
        connection.close().map_err(|(_, error)| error)?;
        std::fs::rename(&aside, path).map_err(StoreError::File)?;
        let directory =
            path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(StoreError::File)
    }

    /// Opens an existing store, brings an older one up to date and reads it into memory.
    ///
    /// # Errors
    /// When the file is missing, damaged or written by a newer program.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = connect(path)?;
        take_steps(&mut connection)?;
        let verdict: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0))?;
        if verdict != "ok" {
            return Err(StoreError::Corrupt(verdict));
        }
        let keys = RwLock::new(keys::Index::load(&connection)?);
        let tokens = RwLock::new(tokens::Index::load(&connection)?);
        let policies = RwLock::new(policies::Index::load(&connection)?);
        let challenge_key = logins::challenge_key(&connection)?;
        Ok(Self { connection: Mutex::new(connection), keys, tokens, policies, challenge_key })
    }

    /// Copies a store that may be in use into a new file; how many versions of keys are in the copy.
    ///
    /// # Errors
    /// When there is no store, or the copy cannot be written.
    pub fn snapshot(from: &Path, to: &Path) -> Result<usize, StoreError> {
        let connection = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let to = to.to_str().ok_or_else(|| StoreError::File(ErrorKind::InvalidFilename.into()))?;
        connection.execute("VACUUM INTO ?1", [to])?;
        let copy = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let count: u32 =
            copy.query_row("SELECT count(*) FROM key_version WHERE g1 IS NOT NULL", [], |row| row.get(0))?;
        Ok(count as usize)
    }

    /// A panic while the lock was held left SQLite's own transaction rolled back: going on is safe.
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All missing steps or none.
fn take_steps(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let missing = usize::try_from(found).ok().and_then(|taken| STEPS.get(taken..));
    let missing = missing.ok_or(StoreError::Schema { found, known: KNOWN })?;
    for step in missing {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", KNOWN)?;
    Ok(transaction.commit()?)
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?; // the sandbox has no directory for temporary files
    Ok(connection)
}

#[cfg(test)]
mod tests;
