//! Wrapped records in the store's file, for a token without data objects.
//!
//! They are read before the store key is there, so no MAC of it covers them: each authenticates itself, under a key of
//! the token. The store's own rows say which of them may be used. Not for: what is in a record (the crate `hsm`).

use std::fmt;
use std::time::Duration;

use hsm::{Found, Records, RecordsError};
use rusqlite::{Connection, params};

use super::reserve::SharedFile;
use crate::store::error::StoreError;

/// The table. A start has checked the lengths of its rows before anything reads them.
///
/// Bytes 8 to 23 of a record are the id of its key-encryption key. While keys move from one to another (`avs-kms rewrap`)
/// a label has a record of each.
pub(super) const RECORDS: &str = "
    CREATE TABLE wrapped_record (
        label TEXT NOT NULL CHECK (length(label) <= 64),
        value BLOB NOT NULL CHECK (length(value) <= 1280)
    ) STRICT;
    CREATE UNIQUE INDEX wrapped_record_of_each_kek ON wrapped_record (label, substr(value, 8, 16));
";

/// Records that interrupted creations may have left without a key version.
const UNCLAIMED_MOST: u32 = 1_000;

/// How long a writer waits for a lock, as `rusqlite` has it.
const BUSY: Duration = Duration::from_secs(5);

/// The wrapped records of one file.
pub struct SqliteRecords(pub(super) SharedFile);

impl SqliteRecords {
    /// Records that are gone with the process, until the file of a new store takes them.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn in_memory() -> Result<Self, StoreError> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(RECORDS)?;
        Ok(Self(SharedFile::over(connection)))
    }

    /// Every record: label and value.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn all(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let file = self.0.lock();
        let mut statement = file.connection.prepare("SELECT label, value FROM wrapped_record")?;
        let all = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(all.collect::<Result<_, _>>()?)
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, RecordsError> {
        read(&self.0.lock().connection).map_err(|error| outside(error.into()))
    }
}

impl Records for SqliteRecords {
    fn find(&self, label: &str) -> Result<Vec<Vec<u8>>, RecordsError> {
        self.read(|connection| {
            // A start has checked the length. What another program writes later is cut, and is no record then.
            let sql = "SELECT substr(value, 1, ?2) FROM wrapped_record WHERE label = ?1";
            let mut statement = connection.prepare_cached(sql)?;
            let values = statement.query_map(params![label, hsm::RECORD_MAX + 1], |row| row.get(0))?;
            values.collect()
        })
    }

    fn scan(&self, each: &mut dyn FnMut(Found<'_>)) -> Result<(), RecordsError> {
        self.read(|connection| {
            let mut statement = connection.prepare("SELECT label, value FROM wrapped_record")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (label, value): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
                each(Found::Value { label: &label, value: &value });
            }
            Ok(())
        })
    }

    fn insert(&self, label: &str, value: &[u8]) -> Result<(), RecordsError> {
        let mut file = self.0.lock();
        if !file.reserve.fill() {
            return Err(outside(StoreError::DiskFull));
        }
        let inserted = insert(&file.connection, label, value);
        inserted.map_err(|error| outside(error.into()))
    }

    /// On a full disk it takes the reserve, as every change that only takes away.
    fn remove_value(&self, label: &str, value: &[u8]) -> Result<(), RecordsError> {
        let mut file = self.0.lock();
        // As `find` gives it: what another program wrote may be longer.
        let sql = "DELETE FROM wrapped_record WHERE label = ?1 AND substr(value, 1, ?3) = ?2";
        loop {
            let removed = file.connection.execute(sql, params![label, value, hsm::RECORD_MAX + 1]);
            match removed.map_err(StoreError::from) {
                Err(error) if error.is_disk_full() && file.reserve.give() => {}
                Err(error) => return Err(outside(error)),
                Ok(0) => return Ok(()),
                Ok(_) => break,
            }
        }
        forget(&file.connection);
        Ok(())
    }
}

/// A start reads each record, and each has a key version, whatever became of that; two have the same one while keys move.
/// More of them are not this program's.
pub(super) fn check_number(connection: &Connection) -> Result<(), StoreError> {
    let sql = "SELECT (SELECT count(*) FROM wrapped_record) > 2 * (SELECT count(*) FROM key_version) + ?1";
    if connection.query_row(sql, [UNCLAIMED_MOST], |row| row.get(0))? {
        return Err(StoreError::Forged(
            "the table wrapped_record, which has more rows than there are keys,".into(),
        ));
    }
    Ok(())
}

/// Stores one record.
pub(super) fn insert(connection: &Connection, label: &str, value: &[u8]) -> rusqlite::Result<()> {
    let sql = "INSERT INTO wrapped_record (label, value) VALUES (?1, ?2)";
    connection.execute(sql, params![label, value]).map(drop)
}

/// Takes what was deleted out of the journal too, unless another program reads it now: a later change does it then.
fn forget(connection: &Connection) {
    let emptied = connection
        .busy_timeout(Duration::ZERO)
        .and_then(|()| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
    let patient = connection.busy_timeout(BUSY);
    if let Err(error) = emptied.and(patient) {
        tracing::debug!(%error, "the journal of the store was not emptied");
    }
}

fn outside(error: StoreError) -> RecordsError {
    RecordsError::Outside(Box::new(error))
}

impl fmt::Debug for SqliteRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteRecords").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    fn labels(records: &SqliteRecords) -> Vec<String> {
        let mut labels = Vec::new();
        let mut each = |found: Found<'_>| {
            if let Found::Value { label, .. } = found {
                labels.push(label.to_owned());
            }
        };
        records.scan(&mut each).unwrap();
        labels
    }

    #[test]
    fn a_label_has_one_value_until_it_is_removed() {
        let records = SqliteRecords::in_memory().unwrap();
        assert!(records.find("a").unwrap().is_empty());
        records.insert("a", b"one").unwrap();
        assert!(records.insert("a", b"two").is_err());
        records.insert("b", b"three").unwrap();
        assert_eq!(records.find("a").unwrap(), [b"one"]);
        assert_eq!((labels(&records), records.all().unwrap().len()), (vec!["a".into(), "b".into()], 2));
        records.remove("a").unwrap();
        records.remove("a").unwrap();
        assert_eq!((labels(&records), records.find("a").unwrap().len()), (vec!["b".into()], 0));
    }

    #[test]
    fn a_label_has_one_record_of_each_key_encryption_key_and_each_is_removed_alone() {
        let records = SqliteRecords::in_memory().unwrap();
        let value = |kek: u8, rest: u8| [&b"AVSK\x02\x01\x01"[..], &[kek; 16], &[rest; 300]].concat();
        records.insert("a", &value(1, 7)).unwrap();
        records.insert("a", &value(2, 7)).unwrap();
        assert!(records.insert("a", &value(2, 8)).is_err());
        records.remove_value("a", &value(1, 8)).unwrap();
        assert_eq!(records.find("a").unwrap().len(), 2);
        records.remove_value("a", &value(1, 7)).unwrap();
        assert_eq!(records.find("a").unwrap(), [value(2, 7)]);
    }

    #[test]
    fn nothing_longer_than_a_record_is_stored_or_read_whole() {
        let records = SqliteRecords::in_memory().unwrap();
        records.insert("a", &[7; hsm::RECORD_MAX]).unwrap();
        assert!(records.insert("b", &[7; hsm::RECORD_MAX + 1]).is_err());
        assert!(records.insert(&"l".repeat(65), b"value").is_err());
        let longer =
            "PRAGMA ignore_check_constraints = ON; UPDATE wrapped_record SET value = zeroblob(9999999)";
        records.0.lock().connection.execute_batch(longer).unwrap();
        assert_eq!(records.find("a").unwrap(), [[0; hsm::RECORD_MAX + 1]]);
    }
}
