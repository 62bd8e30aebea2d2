//! What clients are told of keys: an outbox that is written with the change itself, and what is left to deliver.
//!
//! Not for: sending (`rotation::webhook`), or history that must not be changed (the audit log).

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use serde_json::{Map, Value};

use super::{Store, StoreError};
use crate::key::{Eoa, EventKind, KeyName, KeyVersion, KeyVersionNumber};

/// An event as it was stored.
#[derive(Clone, Debug)]
pub struct KeyEvent {
    /// Its number, from 1, in the order of the changes.
    pub seq: u64,
    /// The word of its kind.
    pub kind: String,
    /// Whose key.
    pub eoa: Eoa,
    /// Which key.
    pub name: KeyName,
    /// Which version.
    pub version: KeyVersionNumber,
    /// When.
    pub at: Timestamp,
    /// What else there is to say.
    pub facts: Map<String, Value>,
}

/// An event to be stored.
#[derive(Clone, Debug)]
pub struct NewEvent {
    kind: EventKind,
    eoa: Eoa,
    name: KeyName,
    version: KeyVersionNumber,
    facts: Map<String, Value>,
}

/// An event that a hook has not acknowledged.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Which hook.
    pub hook: String,
    /// What to deliver.
    pub event: KeyEvent,
    /// How often that was tried.
    pub attempts: u32,
}

impl NewEvent {
    /// An event that concerns a version as it is now.
    pub fn of(kind: EventKind, version: &KeyVersion) -> Self {
        let mut facts = Map::new();
        let operator_id = crate::eigenlayer::operator_id(&version.public_key.g1);
        facts.insert("operator_id".to_owned(), format!("0x{}", hex::encode(operator_id)).into());
        facts.insert("state".to_owned(), version.state().as_str().into());
        if let Some(date) = version.times.destroy {
            facts.insert("destroy_at".to_owned(), date.to_string().into());
        }
        Self { kind, eoa: version.eoa, name: version.name.clone(), version: version.version, facts }
    }

    /// With one more fact.
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    /// With the reason that was given, if one was.
    pub fn because(self, reason: Option<&str>) -> Self {
        match reason {
            Some(reason) => self.with("reason", reason),
            None => self,
        }
    }
}

impl KeyEvent {
    /// The JSON of `GET /v1/events` and of webhooks.
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        let mut put = |name: &str, value: Value| drop(object.insert(name.to_owned(), value));
        put("seq", self.seq.into());
        put("type", self.kind.as_str().into());
        put("eoa", self.eoa.to_string().into());
        put("name", self.name.as_str().into());
        put("version", self.version.number().into());
        put("at", self.at.to_string().into());
        put("at_unix", self.at.as_second().into());
        for (name, value) in &self.facts {
            put(name, value.clone());
        }
        Value::Object(object)
    }
}

/// Stores an event and what is to be delivered of it; the caller's transaction makes both durable.
pub(super) fn insert_event(
    connection: &Connection,
    event: &NewEvent,
    at: Timestamp,
) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO event (kind, eoa, name, version, at, facts) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            event.kind.as_str(),
            event.eoa.as_bytes(),
            event.name.as_str(),
            event.version.number(),
            at.as_second(),
            Value::Object(event.facts.clone()).to_string(),
        ],
    )?;
    let seq = connection.last_insert_rowid();
    let sql = "INSERT INTO delivery (hook, seq, due_at) SELECT id, ?1, ?2 FROM hook";
    connection.execute(sql, params![seq, at.as_second()])?;
    Ok(())
}

impl Store {
    /// From now on events are kept for exactly these hooks; what waited for others is dropped with them.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn set_hooks(&self, hooks: &[String]) -> Result<(), StoreError> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        let known: Vec<String> = {
            let mut statement = transaction.prepare("SELECT id FROM hook")?;
            let ids = statement.query_map([], |row| row.get(0))?;
            ids.collect::<Result<_, _>>()?
        };
        for gone in known.iter().filter(|id| !hooks.contains(id)) {
            transaction.execute("DELETE FROM delivery WHERE hook = ?1", params![gone])?;
            transaction.execute("DELETE FROM hook WHERE id = ?1", params![gone])?;
        }
        for hook in hooks {
            transaction.execute("INSERT OR IGNORE INTO hook (id) VALUES (?1)", params![hook])?;
        }
        Ok(transaction.commit()?)
    }

    /// At most `limit` events after number `after`, of one EOA or of all, oldest first.
    ///
    /// # Errors
    /// When SQLite fails or a row makes no sense.
    pub fn events(&self, eoa: Option<&Eoa>, after: u64, limit: usize) -> Result<Vec<KeyEvent>, StoreError> {
        let connection = self.connection();
        let mut statement = connection.prepare(
            "SELECT * FROM event WHERE seq > ?1 AND (?2 IS NULL OR eoa = ?2) ORDER BY seq LIMIT ?3",
        )?;
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![after, eoa.map(Eoa::as_bytes), limit])?;
        let mut events = Vec::new();
        while let Some(row) = rows.next()? {
            events.push(event_from(row)?);
        }
        Ok(events)
    }

    /// What is to be sent now: of each hook and key the oldest event alone, so that each key's events arrive in order.
    ///
    /// # Errors
    /// When SQLite fails or a row makes no sense.
    pub fn due_deliveries(&self, now: Timestamp) -> Result<Vec<Delivery>, StoreError> {
        let connection = self.connection();
        // A date that lies further ahead than any wait is from before the clock was set back.
        let mut statement = connection.prepare(
            "SELECT hook, attempts, due_at, event.*, min(event.seq) FROM delivery JOIN event USING (seq)
             GROUP BY hook, eoa, name HAVING due_at <= ?1 OR due_at > ?1 + ?2 ORDER BY event.seq",
        )?;
        let mut rows = statement.query(params![now.as_second(), LONGEST_WAIT_SECONDS])?;
        let mut deliveries = Vec::new();
        while let Some(row) = rows.next()? {
            let (hook, attempts) = (row.get("hook")?, row.get("attempts")?);
            deliveries.push(Delivery { hook, event: event_from(row)?, attempts });
        }
        Ok(deliveries)
    }

    /// A hook acknowledged an event. Durable when it returns.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn delivered(&self, delivery: &Delivery) -> Result<(), StoreError> {
        let sql = "DELETE FROM delivery WHERE hook = ?1 AND seq = ?2";
        self.connection().execute(sql, params![delivery.hook, delivery.event.seq])?;
        Ok(())
    }

    /// A hook did not take an event; it is tried again after a wait that doubles up to an hour.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn not_delivered(&self, delivery: &Delivery, now: Timestamp) -> Result<(), StoreError> {
        let wait = 1_i64.checked_shl(delivery.attempts).unwrap_or(i64::MAX).clamp(1, LONGEST_WAIT_SECONDS);
        self.connection().execute(
            "UPDATE delivery SET attempts = attempts + 1, due_at = ?3 WHERE hook = ?1 AND seq = ?2",
            params![delivery.hook, delivery.event.seq, now.as_second().saturating_add(wait)],
        )?;
        Ok(())
    }

    /// How many deliveries wait, and how many of these failed at least once.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn undelivered(&self) -> Result<(u64, u64), StoreError> {
        let sql = "SELECT count(*), count(*) FILTER (WHERE attempts > 0) FROM delivery";
        Ok(self.connection().query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?)
    }
}

/// The longest wait between two attempts.
const LONGEST_WAIT_SECONDS: i64 = 3_600;

fn event_from(row: &Row<'_>) -> Result<KeyEvent, StoreError> {
    let corrupt = |column: &str| StoreError::Corrupt(format!("event column {column}"));
    let (name, facts): (String, String) = (row.get("name")?, row.get("facts")?);
    Ok(KeyEvent {
        seq: row.get("seq")?,
        kind: row.get("kind")?,
        eoa: Eoa::new(row.get("eoa")?),
        name: name.parse().map_err(|_| corrupt("name"))?,
        version: KeyVersionNumber::new(row.get("version")?).ok_or_else(|| corrupt("version"))?,
        at: super::tokens::timestamp(row, "at")?,
        facts: serde_json::from_str(&facts).map_err(|_| corrupt("facts"))?,
    })
}
