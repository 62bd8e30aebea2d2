//! The numbers to watch, as plain values. Not for: how they are shown.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::key::{Eoa, KeyName, Stage, Version};
use crate::operation::{Failure, Service};

/// What stands where, now.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// Versions by the word of their state.
    pub versions: BTreeMap<&'static str, u64>,
    /// Each key that has a current version.
    pub keys: Vec<KeyNumbers>,
    /// The last signature of each version that signed since the start.
    pub last_signatures: Vec<(Eoa, KeyName, Version, Timestamp)>,
    /// Retiring versions that signed after their overlap was over.
    pub signing_after_their_end: u64,
    /// Deliveries to webhooks that wait.
    pub undelivered: u64,
    /// Those of them that failed at least once.
    pub failed_deliveries: u64,
}

/// One key.
#[derive(Clone, Debug)]
pub struct KeyNumbers {
    /// Its owner.
    pub eoa: Eoa,
    /// Its name.
    pub name: KeyName,
    /// Its current version.
    pub version: Version,
    /// For how long it has been current, seconds.
    pub age_seconds: i64,
    /// Until the next one is due, seconds; negative when it is overdue, none without a schedule.
    pub seconds_to_rotation: Option<i64>,
}

impl KeyNumbers {
    /// Whether the next version should be current by now.
    pub fn is_overdue(&self) -> bool {
        self.seconds_to_rotation.is_some_and(|seconds| seconds < 0)
    }
}

/// Counts.
///
/// # Errors
/// When the store cannot be read.
pub fn numbers(service: &Service) -> Result<Numbers, Failure> {
    let now = service.clock().moment().wall;
    let (undelivered, failed_deliveries) = service.store().undelivered().map_err(Failure::internal)?;
    let mut numbers = Numbers { undelivered, failed_deliveries, ..Numbers::default() };
    for version in service.store().all_versions() {
        *numbers.versions.entry(version.state().as_str()).or_default() += 1;
        if let Some(signed) = service.last_signature(&version) {
            numbers.last_signatures.push((version.eoa, version.name.clone(), version.version, signed));
        }
        if version.standing.stage != Stage::Active {
            continue;
        }
        let planned = service.planned(&version)?;
        let activated = version.times.activated.unwrap_or(version.times.created);
        numbers.keys.push(KeyNumbers {
            eoa: version.eoa,
            name: version.name.clone(),
            version: version.version,
            age_seconds: now.as_second() - activated.as_second(),
            seconds_to_rotation: planned.dates.map(|dates| dates.due_at.as_second() - now.as_second()),
        });
        let late = planned.ends.iter().filter(|(old, end)| {
            old.standing.stage == Stage::Retiring
                && service.last_signature(old).is_some_and(|signed| signed > *end)
        });
        numbers.signing_after_their_end += late.count() as u64;
    }
    Ok(numbers)
}
