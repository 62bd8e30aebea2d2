//! Key versions and reservations.

use hsm::KeyId;
use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::rows::{insert_binding, reservation_from, version_from};
use crate::key::{KeyVersion, LifecycleState, Reservation};
use crate::store::authentic::{Place, Row, Rows};
use crate::store::error::StoreError;

pub(super) fn load(connection: &Connection, verified: &mut Rows) -> Result<Vec<KeyVersion>, StoreError> {
    let mut statement = connection.prepare(
        "SELECT * FROM key_version LEFT JOIN binding USING (id) WHERE g1 IS NOT NULL ORDER BY version",
    )?;
    let mut rows = statement.query([])?;
    let mut versions = Vec::new();
    while let Some(row) = rows.next()? {
        let version = version_from(row)?;
        verified.load(&Row::version(&version), &row.get::<_, Vec<u8>>("mac")?);
        versions.push(version);
    }
    Ok(versions)
}

pub(super) fn reserve(
    connection: &Connection,
    rows: &mut Rows,
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
        "INSERT INTO key_version (id, eoa, name, version, state, created_at, mac)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            reservation.id.to_bytes(),
            reservation.eoa.as_bytes(),
            reservation.name.as_str(),
            reservation.version.number(),
            LifecycleState::Pending.as_str(),
            at.as_second(),
            rows.put(&Row::reservation(reservation)),
        ],
    )?;
    reservation.binding.iter().try_for_each(|binding| insert_binding(connection, reservation.id, binding))
}

pub(super) fn complete(
    connection: &Connection,
    rows: &mut Rows,
    version: &KeyVersion,
) -> Result<(), StoreError> {
    let KeyVersion { id, eoa, ref name, version: number, binding, .. } = *version;
    let reserved = Reservation { id, eoa, name: name.clone(), version: number, binding };
    rows.check(&Row::reservation(&reserved))?;
    rows.remove(Place::reservation(id));
    let changed = connection.execute(
        "UPDATE key_version SET state = ?2, g1 = ?3, g2 = ?4, created_at = ?5, activated_at = ?6,
             mac = ?7
         WHERE id = ?1 AND g1 IS NULL",
        params![
            version.id.to_bytes(),
            version.status.lifecycle.as_str(),
            version.public_key.g1.to_bytes(),
            version.public_key.g2.to_bytes(),
            version.times.created.as_second(),
            version.times.activated.map(Timestamp::as_second),
            rows.put(&Row::version(version)),
        ],
    )?;
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::Corrupt(format!("no reservation for key record {}", version.id)))
    }
}

pub(super) fn abandon(connection: &Connection, rows: &mut Rows, id: KeyId) -> Result<(), StoreError> {
    rows.remove(Place::reservation(id));
    let sql = "DELETE FROM binding WHERE id IN (SELECT id FROM key_version WHERE id = ?1 AND g1 IS NULL)";
    connection.execute(sql, params![id.to_bytes()])?;
    connection.execute("DELETE FROM key_version WHERE id = ?1 AND g1 IS NULL", params![id.to_bytes()])?;
    Ok(())
}

/// Verifies the reservations at the start.
pub(super) fn load_reservations(connection: &Connection, verified: &mut Rows) -> Result<(), StoreError> {
    each_reservation(connection, |reservation, mac| {
        verified.load(&Row::reservation(&reservation), mac);
        Ok(())
    })
}

pub(super) fn reservations(connection: &Connection, rows: &mut Rows) -> Result<Vec<Reservation>, StoreError> {
    let mut reservations = Vec::new();
    each_reservation(connection, |reservation, _| {
        rows.check(&Row::reservation(&reservation))?;
        reservations.push(reservation);
        Ok(())
    })?;
    Ok(reservations)
}

fn each_reservation(
    connection: &Connection,
    mut each: impl FnMut(Reservation, &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut statement =
        connection.prepare("SELECT * FROM key_version LEFT JOIN binding USING (id) WHERE g1 IS NULL")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        each(reservation_from(row)?, &row.get::<_, Vec<u8>>("mac")?)?;
    }
    Ok(())
}
