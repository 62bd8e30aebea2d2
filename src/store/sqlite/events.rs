//! Events and their deliveries.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use serde_json::Value;

use super::rows::timestamp;
use crate::key::{Eoa, KeyVersionNumber};
use crate::store::backend::PendingDeliveries;
use crate::store::error::StoreError;
use crate::store::key_event::{Delivery, KeyEvent, LONGEST_RETRY_WAIT, NewEvent};

pub(super) fn insert(connection: &Connection, event: &NewEvent, at: Timestamp) -> Result<(), StoreError> {
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
    let sql = "INSERT INTO delivery (webhook, seq, due_at) SELECT id, ?1, ?2 FROM webhook";
    connection.execute(sql, params![connection.last_insert_rowid(), at.as_second()])?;
    Ok(())
}

pub(super) fn read(
    connection: &Connection,
    owner: Option<&Eoa>,
    after: u64,
    limit: usize,
) -> Result<Vec<KeyEvent>, StoreError> {
    let mut statement = connection
        .prepare("SELECT * FROM event WHERE seq > ?1 AND (?2 IS NULL OR eoa = ?2) ORDER BY seq LIMIT ?3")?;
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![after, owner.map(Eoa::as_bytes), limit])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(event_from(row)?);
    }
    Ok(events)
}

pub(super) fn set_webhooks(connection: &Connection, webhooks: &[String]) -> Result<(), StoreError> {
    let mut statement = connection.prepare("SELECT id FROM webhook")?;
    let known = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    for removed in known.iter().filter(|id| !webhooks.contains(id)) {
        connection.execute("DELETE FROM delivery WHERE webhook = ?1", params![removed])?;
        connection.execute("DELETE FROM webhook WHERE id = ?1", params![removed])?;
    }
    for webhook in webhooks {
        connection.execute("INSERT OR IGNORE INTO webhook (id) VALUES (?1)", params![webhook])?;
    }
    Ok(())
}

pub(super) fn due_deliveries(
    connection: &Connection,
    webhook: &str,
    now: Timestamp,
) -> Result<Vec<Delivery>, StoreError> {
    // A date further ahead than the longest wait was written before the clock was set back.
    let mut statement = connection.prepare(
        "SELECT webhook, attempts, due_at, event.*, min(event.seq) FROM delivery JOIN event USING (seq)
         WHERE webhook = ?1
         GROUP BY eoa, name HAVING due_at <= ?2 OR due_at > ?2 + ?3 ORDER BY event.seq",
    )?;
    let mut rows = statement.query(params![webhook, now.as_second(), LONGEST_RETRY_WAIT.as_secs()])?;
    let mut deliveries = Vec::new();
    while let Some(row) = rows.next()? {
        let (webhook, attempts) = (row.get("webhook")?, row.get("attempts")?);
        deliveries.push(Delivery { webhook, event: event_from(row)?, attempts });
    }
    Ok(deliveries)
}

pub(super) fn delivered(connection: &Connection, delivery: &Delivery) -> Result<(), StoreError> {
    let sql = "DELETE FROM delivery WHERE webhook = ?1 AND seq = ?2";
    connection.execute(sql, params![delivery.webhook, delivery.event.seq])?;
    Ok(())
}

pub(super) fn retry(
    connection: &Connection,
    delivery: &Delivery,
    due_at: Timestamp,
) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE delivery SET attempts = attempts + 1, due_at = ?3 WHERE webhook = ?1 AND seq = ?2",
        params![delivery.webhook, delivery.event.seq, due_at.as_second()],
    )?;
    Ok(())
}

pub(super) fn pending(connection: &Connection) -> Result<PendingDeliveries, StoreError> {
    let sql = "SELECT count(*), count(*) FILTER (WHERE attempts > 0) FROM delivery";
    let counts = |row: &Row<'_>| Ok(PendingDeliveries { pending: row.get(0)?, failing: row.get(1)? });
    Ok(connection.query_row(sql, [], counts)?)
}

fn event_from(row: &Row<'_>) -> Result<KeyEvent, StoreError> {
    let corrupt = |column: &str| StoreError::Corrupt(format!("event column {column}"));
    let (name, facts): (String, String) = (row.get("name")?, row.get("facts")?);
    Ok(KeyEvent {
        seq: row.get("seq")?,
        kind: row.get("kind")?,
        eoa: Eoa::new(row.get("eoa")?),
        name: name.parse().map_err(|_| corrupt("name"))?,
        version: KeyVersionNumber::new(row.get("version")?).ok_or_else(|| corrupt("version"))?,
        at: timestamp(row, "at")?,
        facts: serde_json::from_str(&facts).map_err(|_| corrupt("facts"))?,
    })
}
