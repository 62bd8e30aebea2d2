//! Changes of key versions, and the marks of the intents that made them.

use hsm::KeyId;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::events;
use crate::key::{KeyVersion, Registration, VersionStatus};
use crate::store::backend::{KeyChange, VersionUpdate};
use crate::store::error::StoreError;

pub(super) fn change(connection: &Connection, change: &KeyChange) -> Result<(), StoreError> {
    for VersionUpdate { from, version } in &change.updates {
        update(connection, *from, version)?;
    }
    change.events.iter().try_for_each(|event| events::insert(connection, event, change.at))?;
    change.intent.map_or(Ok(()), |intent| mark(connection, intent))
}

pub(super) fn mark(connection: &Connection, intent: u64) -> Result<(), StoreError> {
    connection.execute("INSERT INTO applied_intent (intent) VALUES (?1)", params![intent])?;
    Ok(())
}

pub(super) fn is_applied(connection: &Connection, intent: u64) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM applied_intent WHERE intent = ?1";
    Ok(connection.query_row(sql, params![intent], |_| Ok(())).optional()?.is_some())
}

pub(super) fn clear_applied_intents(connection: &Connection) -> Result<(), StoreError> {
    connection.execute("DELETE FROM applied_intent", [])?;
    Ok(())
}

pub(super) fn set_registration(
    connection: &Connection,
    id: KeyId,
    registration: Registration,
) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE binding SET held = ?2, held_since = ?3 WHERE id = ?1",
        params![id.to_bytes(), registration.held, registration.since.as_second()],
    )?;
    Ok(())
}

fn update(connection: &Connection, from: VersionStatus, version: &KeyVersion) -> Result<(), StoreError> {
    let second = |time: Option<Timestamp>| time.map(Timestamp::as_second);
    let times = &version.times;
    let changed = connection.execute(
        "UPDATE key_version SET state = ?2, disabled = ?3, activated_at = ?4, superseded_at = ?5,
             retired_at = ?6, destroy_at = ?7, destroyed_at = ?8, announced_at = ?9
         WHERE id = ?1 AND g1 IS NOT NULL AND state = ?10 AND disabled = ?11
             AND (state = 'destroyed' OR (destroy_at IS NOT NULL) = ?12)",
        params![
            version.id.to_bytes(),
            version.status.lifecycle.as_str(),
            version.status.disabled,
            second(times.activated),
            second(times.superseded),
            second(times.retired),
            second(times.destroy),
            second(times.destroyed),
            second(times.announced),
            from.lifecycle.as_str(),
            from.disabled,
            from.destruction_scheduled,
        ],
    )?;
    if changed == 1 { Ok(()) } else { Err(StoreError::Conflict(version.version)) }
}
