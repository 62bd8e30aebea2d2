//! Policies, rotation schedules, the freeze.

use std::num::NonZeroU32;

use rusqlite::{Connection, params};

use super::rows::timestamp;
use crate::auth::Policy;
use crate::key::ScheduleScope;
use crate::key::{Eoa, Freeze, KeyName, Schedule};
use crate::store::authentic::{Place, Row, Rows};
use crate::store::error::StoreError;

pub(super) fn load_policies(
    connection: &Connection,
    verified: &mut Rows,
) -> Result<Vec<(Eoa, KeyName, Policy)>, StoreError> {
    let corrupt = |column: &str| StoreError::Corrupt(format!("key policy column {column}"));
    let mut statement =
        connection.prepare("SELECT eoa, name, signing, networks, per_minute, mac FROM key_policy")?;
    let mut rows = statement.query([])?;
    let mut policies = Vec::new();
    while let Some(row) = rows.next()? {
        let text = |column: &str| row.get::<_, String>(column);
        let per_minute: Option<u32> = row.get("per_minute")?;
        let policy = Policy {
            signing: text("signing")?.parse().map_err(|_| corrupt("signing"))?,
            networks: text("networks")?.parse().map_err(|_| corrupt("networks"))?,
            per_minute: per_minute
                .map(|number| NonZeroU32::new(number).ok_or_else(|| corrupt("per_minute")))
                .transpose()?,
        };
        let name = text("name")?.parse().map_err(|_| corrupt("name"))?;
        let owner = Eoa::new(row.get("eoa")?);
        verified.load(&Row::policy(&owner, &name, &policy), &row.get::<_, Vec<u8>>("mac")?);
        policies.push((owner, name, policy));
    }
    Ok(policies)
}

pub(super) fn set_policy(
    connection: &Connection,
    rows: &mut Rows,
    owner: &Eoa,
    name: &KeyName,
    policy: &Policy,
) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO key_policy (eoa, name, signing, networks, per_minute, mac)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (eoa, name) DO UPDATE
         SET signing = excluded.signing, networks = excluded.networks, per_minute = excluded.per_minute,
             mac = excluded.mac",
        params![
            owner.as_bytes(),
            name.as_str(),
            policy.signing.to_string(),
            policy.networks.to_string(),
            policy.per_minute.map(NonZeroU32::get),
            rows.put(&Row::policy(owner, name, policy)),
        ],
    )?;
    Ok(())
}

pub(super) fn load_freeze(
    connection: &Connection,
    verified: &mut Rows,
) -> Result<Option<Freeze>, StoreError> {
    let mut statement = connection.prepare("SELECT since, reason, mac FROM freeze")?;
    let mut rows = statement.query([])?;
    let mut found = None;
    while let Some(row) = rows.next()? {
        let freeze = Freeze { since: timestamp(row, "since")?, reason: row.get("reason")? };
        verified.load(&Row::freeze(&freeze), &row.get::<_, Vec<u8>>("mac")?);
        found = Some(freeze);
    }
    Ok(found)
}

pub(super) fn set_freeze(
    connection: &Connection,
    rows: &mut Rows,
    freeze: Option<&Freeze>,
) -> Result<(), StoreError> {
    connection.execute("DELETE FROM freeze", [])?;
    let Some(freeze) = freeze else {
        rows.remove(Place::freeze());
        return Ok(());
    };
    let mac = rows.put(&Row::freeze(freeze));
    connection.execute(
        "INSERT INTO freeze (only, since, reason, mac) VALUES (1, ?1, ?2, ?3)",
        params![freeze.since.as_second(), freeze.reason, mac],
    )?;
    Ok(())
}

pub(super) fn load_schedules(
    connection: &Connection,
    verified: &mut Rows,
) -> Result<Vec<(Eoa, ScheduleScope, Schedule)>, StoreError> {
    let corrupt = |column: &str| StoreError::Corrupt(format!("schedule column {column}"));
    let mut statement = connection.prepare("SELECT * FROM schedule")?;
    let mut rows = statement.query([])?;
    let mut schedules = Vec::new();
    while let Some(row) = rows.next()? {
        let text = |column: &str| row.get::<_, String>(column);
        let schedule = Schedule {
            every_days: row.get("every_days")?,
            announce_days: row.get("announce_days")?,
            overlap_days: row.get("overlap_days")?,
            activate: row.get("activate")?,
            retire_on: text("retire_on")?.parse().map_err(|_| corrupt("retire_on"))?,
            jitter_hours: row.get("jitter_hours")?,
        };
        let scope = text("name")?.parse().map_err(|_| corrupt("name"))?;
        let owner = Eoa::new(row.get("eoa")?);
        verified.load(&Row::schedule(&owner, &scope, &schedule), &row.get::<_, Vec<u8>>("mac")?);
        schedules.push((owner, scope, schedule));
    }
    Ok(schedules)
}

pub(super) fn set_schedule(
    connection: &Connection,
    rows: &mut Rows,
    owner: &Eoa,
    scope: &ScheduleScope,
    schedule: Option<&Schedule>,
) -> Result<(), StoreError> {
    let written = schedule.map(|schedule| rows.put(&Row::schedule(owner, scope, schedule)));
    if written.is_none() {
        rows.remove(Place::schedule(owner, scope));
    }
    let scope = scope.to_string();
    let delete = "DELETE FROM schedule WHERE eoa = ?1 AND name = ?2";
    connection.execute(delete, params![owner.as_bytes(), scope])?;
    let Some(schedule) = schedule else { return Ok(()) };
    connection.execute(
        "INSERT INTO schedule
             (eoa, name, every_days, announce_days, overlap_days, activate, retire_on, jitter_hours, mac)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            owner.as_bytes(),
            scope,
            schedule.every_days,
            schedule.announce_days,
            schedule.overlap_days,
            schedule.activate,
            schedule.retire_on.as_str(),
            schedule.jitter_hours,
            written,
        ],
    )?;
    Ok(())
}
