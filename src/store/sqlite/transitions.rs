//! Changes of key versions, and the marks of the intents that made them.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::events;
use crate::key::{IntentRef, KeyVersion, VersionStatus};
use crate::store::authentic::{Place, Row, Rows};
use crate::store::backend::{IntentMark, KeyChange, VersionUpdate};
use crate::store::error::StoreError;

pub(super) fn change(connection: &Connection, rows: &mut Rows, change: &KeyChange) -> Result<(), StoreError> {
    for VersionUpdate { from, version } in &change.updates {
        update(connection, rows, *from, version)?;
    }
    change.events.iter().try_for_each(|event| events::insert(connection, event, change.at))?;
    change.mark.map_or(Ok(()), |intent| mark(connection, rows, intent))
}

pub(super) fn mark(connection: &Connection, rows: &mut Rows, mark: IntentMark) -> Result<(), StoreError> {
    match mark {
        IntentMark::Applied(intent) => {
            let mac = rows.put(&Row::applied_intent(intent));
            let sql = "INSERT INTO applied_intent (intent, mac) VALUES (?1, ?2)";
            connection.execute(sql, params![intent, mac])?;
        }
        IntentMark::TakenAway(record) => {
            let mac = rows.put(&Row::taken_away(&record));
            connection
                .execute("INSERT INTO taken_away (record, mac) VALUES (?1, ?2)", params![record, mac])?;
        }
    }
    Ok(())
}

/// Verifies the marks at the start.
pub(super) fn load_applied(connection: &Connection, verified: &mut Rows) -> Result<(), StoreError> {
    let mut statement = connection.prepare("SELECT intent, mac FROM applied_intent")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        verified.load(&Row::applied_intent(row.get("intent")?), &row.get::<_, Vec<u8>>("mac")?);
    }
    let mut statement = connection.prepare("SELECT record, mac FROM taken_away")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        verified.load(&Row::taken_away(&row.get("record")?), &row.get::<_, Vec<u8>>("mac")?);
    }
    Ok(())
}

pub(super) fn is_applied(rows: &Rows, mark: IntentMark) -> bool {
    rows.contains(&match mark {
        IntentMark::Applied(intent) => Place::applied_intent(intent),
        IntentMark::TakenAway(record) => Place::taken_away(&record),
    })
}

pub(super) fn clear_applied_intents(connection: &Connection, rows: &mut Rows) -> Result<(), StoreError> {
    rows.remove_applied_intents();
    connection.execute("DELETE FROM applied_intent", [])?;
    Ok(())
}

pub(super) fn set_registration(
    connection: &Connection,
    rows: &mut Rows,
    version: &KeyVersion,
) -> Result<(), StoreError> {
    let id = version.id.to_bytes();
    let (held, since) = version.registration.map(|it| (it.held, it.since.as_second())).unzip();
    let sql = "UPDATE binding SET held = ?2, held_since = ?3 WHERE id = ?1";
    let bound = connection.execute(sql, params![id, held, since])?;
    let row = Row::version(version);
    let sql = "UPDATE key_version SET mac = ?2 WHERE id = ?1 AND g1 IS NOT NULL";
    let known = connection.execute(sql, params![id, rows.put(&row)])?;
    if (bound, known) == (1, 1) { Ok(()) } else { Err(StoreError::Forged(row.to_string())) }
}

fn update(
    connection: &Connection,
    rows: &mut Rows,
    from: VersionStatus,
    version: &KeyVersion,
) -> Result<(), StoreError> {
    let second = |time: Option<Timestamp>| time.map(Timestamp::as_second);
    let times = &version.times;
    let changed = connection.execute(
        "UPDATE key_version SET state = ?2, disabled = ?3, activated_at = ?4, superseded_at = ?5,
             retired_at = ?6, destroy_at = ?7, destroyed_at = ?8, announced_at = ?9, mac = ?13,
             destroy_intent = ?14
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
            rows.put(&Row::version(version)),
            version.destroy_intent.map(IntentRef::to_bytes),
        ],
    )?;
    if changed == 1 { Ok(()) } else { Err(StoreError::Conflict(version.version)) }
}
