//! Figures of rotation as plain values, and which gauge shows which. Not for: the names of the gauges (`metrics`).

use std::sync::Arc;

use jiff::Timestamp;

use crate::eigenlayer;
use crate::key::{KeyVersion, LifecycleState};
use crate::metrics::{self, RotationReading, series};
use crate::service::Services;
use crate::store::{PendingDeliveries, StoreError};

/// State of all rotations.
#[derive(Clone, Debug, Default)]
pub struct RotationStats {
    /// Each key that has a current version.
    pub keys: Vec<KeyStats>,
    /// The last signature of each version that signed since the start of the process.
    pub last_signatures: Vec<(Arc<KeyVersion>, Timestamp)>,
    /// Retiring versions that signed after the end of their overlap.
    pub signing_after_their_end: u64,
    /// Webhook deliveries that are not acknowledged.
    pub deliveries: PendingDeliveries,
}

/// One key.
#[derive(Clone, Debug)]
pub struct KeyStats {
    /// Its current version.
    pub current: Arc<KeyVersion>,
    /// Since when that is current, seconds.
    pub age_seconds: i64,
    /// Until the next one is due, seconds; negative when it is overdue, `None` without a schedule.
    pub seconds_to_rotation: Option<i64>,
}

impl KeyStats {
    /// Whether the next version should be current by now.
    pub fn is_overdue(&self) -> bool {
        self.seconds_to_rotation.is_some_and(|seconds| seconds < 0)
    }
}

/// Reads the figures.
///
/// # Errors
/// When the store cannot be read.
pub async fn stats(services: &Services) -> Result<RotationStats, StoreError> {
    let now = services.clock().now();
    let store = services.store();
    let deliveries = store.pending_deliveries().await?;
    let mut stats = RotationStats { deliveries, ..RotationStats::default() };
    for version in store.all_versions() {
        if let Some(signed) = services.signing.last_signature(&version) {
            stats.last_signatures.push((Arc::clone(&version), signed));
        }
        if version.status.lifecycle != LifecycleState::Active {
            continue;
        }
        let scheduled = services.schedules.of(&version);
        let activated = version.times.activated.unwrap_or(version.times.created);
        stats.keys.push(KeyStats {
            current: version,
            age_seconds: now.as_second() - activated.as_second(),
            seconds_to_rotation: scheduled.dates.map(|dates| dates.due_at.as_second() - now.as_second()),
        });
        let late = scheduled.ends.iter().filter(|(old, end)| {
            old.status.lifecycle == LifecycleState::Retiring
                && services.signing.last_signature(old).is_some_and(|signed| signed > *end)
        });
        stats.signing_after_their_end += late.count() as u64;
    }
    Ok(stats)
}

/// Sets the gauges of rotation, and returns the series of single keys.
///
/// # Errors
/// When the store cannot be read.
pub async fn show_stats(services: &Services) -> Result<String, StoreError> {
    let stats = stats(services).await?;
    metrics::show_rotation(RotationReading {
        overdue: stats.keys.iter().filter(|key| key.is_overdue()).count(),
        oldest_seconds: stats.keys.iter().map(|key| key.age_seconds).max(),
        next_seconds: stats.keys.iter().filter_map(|key| key.seconds_to_rotation).min(),
        signing_after_end: stats.signing_after_their_end,
        undelivered: stats.deliveries.pending,
        failed_deliveries: stats.deliveries.failing,
    });
    let id = |version: &KeyVersion| eigenlayer::operator_id(&version.public_key.g1);
    let ages = stats.keys.iter().map(|key| (id(&key.current), key.age_seconds));
    let due = stats.keys.iter().filter_map(|key| Some((id(&key.current), key.seconds_to_rotation?)));
    let signed = stats.last_signatures.iter().map(|(version, time)| (id(version), time.as_second()));
    Ok([
        series::text(series::AGE, ages),
        series::text(series::DUE, due),
        series::text(series::LAST_SIGNATURE, signed),
    ]
    .concat())
}
