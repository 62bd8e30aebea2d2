//! Key versions and reservations.

use hsm::KeyId;
use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::rows::{insert_binding, reservation_from, version_from};
use crate::key::{KeyVersion, LifecycleState, Reservation};
use crate::store::error::StoreError;

pub(super) fn load(connection: &Connection) -> Result<Vec<KeyVersion>, StoreError> {
    let mut statement = connection.prepare(
        "SELECT * FROM key_version LEFT JOIN binding USING (id) WHERE g1 IS NOT NULL ORDER BY version",
    )?;
    let mut rows = statement.query([])?;
    let mut versions = Vec::new();
    while let Some(row) = rows.next()? {
        versions.push(version_from(row)?);
    }
    Ok(versions)
}

pub(super) fn reserve(
    connection: &Connection,
    reservation: &Reservation,
    at: Timestamp,
) -> Result<(), StoreError> {
    // An earlier attempt may have reserved this id for another binding.
    connection.execute(
        "DELETE FROM binding WHERE id IN (SELECT id FROM key_version WHERE id = ?1 AND g1 IS NULL)",
        params![reservation.id.to_bytes()],
    )?;
    let delete = "DELETE FROM key_version WHERE id = ?1 AND g1 IS NULL";
    connection.execute(delete, params![reservation.id.to_bytes()])?;
    connection.execute(
        "INSERT INTO key_version (id, eoa, name, version, state, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            reservation.id.to_bytes(),
            reservation.eoa.as_bytes(),
            reservation.name.as_str(),
            reservation.version.number(),
            LifecycleState::Pending.as_str(),
            at.as_second(),
        ],
    )?;
    reservation.binding.iter().try_for_each(|binding| insert_binding(connection, reservation.id, binding))
}

pub(super) fn complete(connection: &Connection, version: &KeyVersion) -> Result<(), StoreError> {
    let changed = connection.execute(
        "UPDATE key_version SET state = ?2, g1 = ?3, g2 = ?4, created_at = ?5, activated_at = ?6
         WHERE id = ?1 AND g1 IS NULL",
        params![
            version.id.to_bytes(),
            version.status.lifecycle.as_str(),
            version.public_key.g1.to_bytes(),
            version.public_key.g2.to_bytes(),
            version.times.created.as_second(),
            version.times.activated.map(Timestamp::as_second),
        ],
    )?;
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::Corrupt(format!("no reservation for key record {}", version.id)))
    }
}

pub(super) fn abandon(connection: &Connection, id: KeyId) -> Result<(), StoreError> {
    let sql = "DELETE FROM binding WHERE id IN (SELECT id FROM key_version WHERE id = ?1 AND g1 IS NULL)";
    connection.execute(sql, params![id.to_bytes()])?;
    connection.execute("DELETE FROM key_version WHERE id = ?1 AND g1 IS NULL", params![id.to_bytes()])?;
    Ok(())
}

pub(super) fn reservations(connection: &Connection) -> Result<Vec<Reservation>, StoreError> {
    let mut statement =
        connection.prepare("SELECT * FROM key_version LEFT JOIN binding USING (id) WHERE g1 IS NULL")?;
    let mut rows = statement.query([])?;
    let mut reservations = Vec::new();
    while let Some(row) = rows.next()? {
        reservations.push(reservation_from(row)?);
    }
    Ok(reservations)
}
