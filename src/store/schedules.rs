//! Schedules: of one key, or of every key of an EOA that has none of its own.

use std::fmt;
use std::str::FromStr;

use rusqlite::{OptionalExtension, Row, params};

use super::{Store, StoreError};
use crate::key::{Eoa, KeyName, NameError, Schedule};

/// Which keys of an EOA a schedule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All that have no schedule of their own; written `*`, which is no key's name.
    All,
    /// One.
    One(KeyName),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::One(name) => fmt::Display::fmt(name, f),
        }
    }
}

impl FromStr for Scope {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text == "*" { Ok(Self::All) } else { text.parse().map(Self::One) }
    }
}

impl Store {
    /// Sets or ends a schedule. Durable when it returns.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn set_schedule(
        &self,
        eoa: &Eoa,
        scope: &Scope,
        schedule: Option<&Schedule>,
        intent: u64,
    ) -> Result<(), StoreError> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        let scope = scope.to_string();
        transaction
            .execute("DELETE FROM schedule WHERE eoa = ?1 AND name = ?2", params![eoa.as_bytes(), scope])?;
        if let Some(schedule) = schedule {
            transaction.execute(
                "INSERT INTO schedule VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    eoa.as_bytes(),
                    scope,
                    schedule.every_days,
                    schedule.announce_days,
                    schedule.overlap_days,
                    schedule.activate,
                    schedule.retire_on.as_str(),
                    schedule.jitter_hours,
                ],
            )?;
        }
        Self::mark(&transaction, intent)?;
        Ok(transaction.commit()?)
    }

    /// The schedule of exactly this scope.
    ///
    /// # Errors
    /// When SQLite fails or a row makes no sense.
    pub fn schedule(&self, eoa: &Eoa, scope: &Scope) -> Result<Option<Schedule>, StoreError> {
        let sql = "SELECT * FROM schedule WHERE eoa = ?1 AND name = ?2";
        let found = self
            .connection()
            .query_row(sql, params![eoa.as_bytes(), scope.to_string()], |row| Ok(schedule_from(row)));
        found.optional()?.transpose()
    }

    /// The schedule that a key follows: its own, else its EOA's.
    ///
    /// # Errors
    /// When SQLite fails or a row makes no sense.
    pub fn schedule_of(&self, eoa: &Eoa, name: &KeyName) -> Result<Option<Schedule>, StoreError> {
        match self.schedule(eoa, &Scope::One(name.clone()))? {
            Some(own) => Ok(Some(own)),
            None => self.schedule(eoa, &Scope::All),
        }
    }
}

fn schedule_from(row: &Row<'_>) -> Result<Schedule, StoreError> {
    let retire_on: String = row.get("retire_on")?;
    Ok(Schedule {
        every_days: row.get("every_days")?,
        announce_days: row.get("announce_days")?,
        overlap_days: row.get("overlap_days")?,
        activate: row.get("activate")?,
        retire_on: retire_on.parse().map_err(|_| StoreError::Corrupt(format!("retire_on {retire_on}")))?,
        jitter_hours: row.get("jitter_hours")?,
    })
}
