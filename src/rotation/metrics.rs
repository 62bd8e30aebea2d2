//! The numbers to watch, as plain values, and which gauge shows which. Not for: the names of the gauges (`metrics`).

use std::sync::Arc;

use jiff::Timestamp;

use crate::eigenlayer;
use crate::key::KeyVersion;
use crate::key::LifecycleState;
use crate::metrics::{self, RotationReading, series};
use crate::service::{Service, ServiceError};

/// What stands where, now.
#[derive(Clone, Debug, Default)]
pub struct RotationStats {
    /// Each key that has a current version.
    pub keys: Vec<KeyStats>,
    /// The last signature of each version that signed since the start.
    pub last_signatures: Vec<(Arc<KeyVersion>, Timestamp)>,
    /// Retiring versions that signed after their overlap was over.
    pub signing_after_their_end: u64,
    /// Deliveries to webhooks that wait.
    pub undelivered: u64,
    /// Those of them that failed at least once.
    pub failed_deliveries: u64,
}

/// One key.
#[derive(Clone, Debug)]
pub struct KeyStats {
    /// Its current version.
    pub current: Arc<KeyVersion>,
    /// For how long that has been current, seconds.
    pub age_seconds: i64,
    /// Until the next one is due, seconds; negative when it is overdue, none without a schedule.
    pub seconds_to_rotation: Option<i64>,
}

impl KeyStats {
    /// Whether the next version should be current by now.
    pub fn is_overdue(&self) -> bool {
        self.seconds_to_rotation.is_some_and(|seconds| seconds < 0)
    }
}

/// Counts.
///
/// # Errors
/// When the store cannot be read.
pub fn stats(service: &Service) -> Result<RotationStats, ServiceError> {
    let now = service.clock().moment().wall;
    let (undelivered, failed_deliveries) = service.store().undelivered().map_err(ServiceError::internal)?;
    let mut numbers = RotationStats { undelivered, failed_deliveries, ..RotationStats::default() };
    for version in service.store().all_versions() {
        if let Some(signed) = service.last_signature(&version) {
            numbers.last_signatures.push((Arc::clone(&version), signed));
        }
        if version.status.lifecycle != LifecycleState::Active {
            continue;
        }
        let planned = service.planned(&version)?;
        let activated = version.times.activated.unwrap_or(version.times.created);
        numbers.keys.push(KeyStats {
            current: version,
            age_seconds: now.as_second() - activated.as_second(),
            seconds_to_rotation: planned.dates.map(|dates| dates.due_at.as_second() - now.as_second()),
        });
        let late = planned.ends.iter().filter(|(old, end)| {
            old.status.lifecycle == LifecycleState::Retiring
                && service.last_signature(old).is_some_and(|signed| signed > *end)
        });
        numbers.signing_after_their_end += late.count() as u64;
    }
    Ok(numbers)
}

/// Brings the gauges of rotation up to date, and gives the series of single keys.
///
/// # Errors
/// When the store cannot be read.
pub fn show_stats(service: &Service) -> Result<String, ServiceError> {
    let numbers = stats(service)?;
    metrics::show_rotation(RotationReading {
        overdue: numbers.keys.iter().filter(|key| key.is_overdue()).count(),
        oldest_seconds: numbers.keys.iter().map(|key| key.age_seconds).max(),
        next_seconds: numbers.keys.iter().filter_map(|key| key.seconds_to_rotation).min(),
        signing_after_end: numbers.signing_after_their_end,
        undelivered: numbers.undelivered,
        failed_deliveries: numbers.failed_deliveries,
    });
    let id = |version: &KeyVersion| eigenlayer::operator_id(&version.public_key.g1);
    let ages = numbers.keys.iter().map(|key| (id(&key.current), key.age_seconds));
    let due = numbers.keys.iter().filter_map(|key| Some((id(&key.current), key.seconds_to_rotation?)));
    let signed = numbers.last_signatures.iter().map(|(version, time)| (id(version), time.as_second()));
    Ok([
        series::text(series::AGE, ages),
        series::text(series::DUE, due),
        series::text(series::LAST_SIGNATURE, signed),
    ]
    .concat())
}
