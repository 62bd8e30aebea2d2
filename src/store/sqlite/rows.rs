//! Conversion between rows and key versions.

use hsm::{G1Point, G2Point, KeyId, PublicKey};
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use crate::key::{
    Binding, Eoa, IntentRef, KeyVersion, KeyVersionNumber, LifecycleState, Registration, Registry,
    Reservation, VersionStatus, VersionTimestamps,
};
use crate::store::error::StoreError;

pub(super) fn insert_binding(
    connection: &Connection,
    id: KeyId,
    binding: &Binding,
) -> Result<(), StoreError> {
    let (avs, set) = match &binding.registry {
        Registry::BlsApkRegistry => (None, None),
        Registry::KeyRegistrar { avs, operator_set_id } => (Some(*avs.as_bytes()), Some(*operator_set_id)),
    };
    connection.execute(
        "INSERT INTO binding (id, chain_id, registry, verifying_contract, operator, avs, operator_set_id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            id.to_bytes(),
            binding.chain_id,
            binding.registry.as_str(),
            binding.verifying_contract.as_bytes(),
            binding.operator.as_bytes(),
            avs,
            set
        ],
    )?;
    Ok(())
}

fn binding_from(row: &Row<'_>) -> Result<Option<Binding>, StoreError> {
    let Some(registry) = row.get::<_, Option<String>>("registry")? else { return Ok(None) };
    let registry = match registry.as_str() {
        "bls_apk_registry" => Registry::BlsApkRegistry,
        "key_registrar" => Registry::KeyRegistrar {
            avs: Eoa::new(row.get("avs")?),
            operator_set_id: row.get("operator_set_id")?,
        },
        other => return Err(corrupt("registry", other)),
    };
    Ok(Some(Binding {
        chain_id: row.get("chain_id")?,
        registry,
        verifying_contract: Eoa::new(row.get("verifying_contract")?),
        operator: Eoa::new(row.get("operator")?),
    }))
}

pub(super) fn reservation_from(row: &Row<'_>) -> Result<Reservation, StoreError> {
    let name: String = row.get("name")?;
    let number: u32 = row.get("version")?;
    Ok(Reservation {
        id: KeyId::from_bytes(row.get("id")?),
        eoa: Eoa::new(row.get("eoa")?),
        name: name.parse().map_err(|_| corrupt("name", &name))?,
        version: KeyVersionNumber::new(number).ok_or_else(|| corrupt("version", "0"))?,
        binding: binding_from(row)?,
    })
}

pub(super) fn version_from(row: &Row<'_>) -> Result<KeyVersion, StoreError> {
    let Reservation { id, eoa, name, version, binding } = reservation_from(row)?;
    let lifecycle: String = row.get("state")?;
    let lifecycle: LifecycleState = lifecycle.parse().map_err(|_| corrupt("state", &lifecycle))?;
    let g1 = G1Point::from_bytes(&row.get("g1")?).map_err(|error| corrupt("g1", &error.to_string()))?;
    let g2 = G2Point::from_bytes(&row.get("g2")?).map_err(|error| corrupt("g2", &error.to_string()))?;
    let time = |column| optional_time(row, column);
    let times = VersionTimestamps {
        created: timestamp(row, "created_at")?,
        activated: time("activated_at")?,
        superseded: time("superseded_at")?,
        retired: time("retired_at")?,
        destroy: time("destroy_at")?,
        destroyed: time("destroyed_at")?,
        announced: time("announced_at")?,
    };
    let held: Option<bool> = row.get("held")?;
    let registration = match (held, time("held_since")?) {
        (Some(held), Some(since)) => Some(Registration { held, since }),
        _ => None,
    };
    let destruction_scheduled = times.destroy.is_some() && lifecycle != LifecycleState::Destroyed;
    let status = VersionStatus { lifecycle, disabled: row.get("disabled")?, destruction_scheduled };
    let public_key = PublicKey { g1, g2 };
    let intent: Option<Vec<u8>> = row.get("destroy_intent")?;
    let intent =
        intent.map(|bytes| IntentRef::from_bytes(&bytes).ok_or_else(|| corrupt("destroy_intent", "length")));
    let destroy_intent = intent.transpose()?;
    Ok(KeyVersion {
        id,
        eoa,
        name,
        version,
        status,
        public_key,
        binding,
        registration,
        times,
        destroy_intent,
    })
}

/// A column of Unix seconds.
pub(super) fn timestamp(row: &Row<'_>, column: &str) -> Result<Timestamp, StoreError> {
    Timestamp::from_second(row.get(column)?)
        .map_err(|_| StoreError::Corrupt(format!("column {column} is not a time")))
}

/// A column of Unix seconds that may be empty.
pub(super) fn optional_time(row: &Row<'_>, column: &str) -> Result<Option<Timestamp>, StoreError> {
    let second: Option<i64> = row.get(column)?;
    second.map(|_| timestamp(row, column)).transpose()
}

fn corrupt(column: &str, what: &str) -> StoreError {
    StoreError::Corrupt(format!("column {column}: {what}"))
}
