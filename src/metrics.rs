//! Prometheus metrics of the service: every name, unit, bucket and label in one place.
//!
//! A label has a fixed set of values: operation, error code, state. Clients choose addresses and key names, so neither
//! is ever a label; an operator id is one only in the bounded [`series`] of single key versions.
//! Not for: decisions, and the enclave's own metrics, which `hsm` names itself.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ::metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use audit_log::metrics::{
    BATCH_RECORDS as AUDIT_BATCH, COMMIT_SECONDS as AUDIT_COMMIT_SECONDS, FAILURES as AUDIT_FAILURES,
    RECORDS as AUDIT_RECORDS, STUCK_SINKS,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::key::KeyState;

pub mod series;

const REQUESTS: &str = "avs_kms_requests_total";
const REQUEST_SECONDS: &str = "avs_kms_request_seconds";
const LAST_SIGNATURE: &str = "avs_kms_last_signature_timestamp_seconds";
const AUDIT_WRITABLE: &str = "avs_kms_audit_writable";
const AUDIT_TREE_SIZE: &str = "avs_kms_audit_tree_size";
const CHECKPOINT_TREE_SIZE: &str = "avs_kms_audit_checkpoint_tree_size";
const CHECKPOINT_TIME: &str = "avs_kms_audit_checkpoint_timestamp_seconds";
const HSM_READY: &str = "avs_kms_hsm_ready";
const HSM_STOPPED: &str = "avs_kms_hsm_stopped";
const HSM_RECOVERIES: &str = "avs_kms_hsm_recoveries_total";
const CANARY_OK: &str = "avs_kms_hsm_canary_ok";
const CANARY_AGE: &str = "avs_kms_hsm_canary_age_seconds";
const QUEUE_DEPTH: &str = "avs_kms_enclave_queue_depth";
const WORKERS: &str = "avs_kms_enclave_workers";
const STUCK_WORKERS: &str = "avs_kms_enclave_stuck_workers";
const KEYS: &str = "avs_kms_keys";
const KEYS_UNREADABLE: &str = "avs_kms_keys_unreadable";
const OVERDUE: &str = "avs_kms_rotations_overdue";
const OLDEST: &str = "avs_kms_oldest_key_age_seconds";
const NEXT_ROTATION: &str = "avs_kms_next_rotation_due_seconds";
const PAST_RETIREMENT: &str = "avs_kms_key_versions_past_retirement";
const DELIVERIES_PENDING: &str = "avs_kms_webhook_deliveries_pending";
const DELIVERIES_FAILING: &str = "avs_kms_webhook_deliveries_failing";
const FROZEN: &str = "avs_kms_frozen";
const BUILD: &str = "avs_kms_build_info";
const STARTED: &str = "avs_kms_start_timestamp_seconds";

/// Buckets in seconds: from one multiplication to the longest deadline.
const SECONDS: [f64; 18] = [
    0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
    0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Buckets of records in one durable write.
const RECORDS: [f64; 8] = [1.0, 4.0, 16.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// The metrics recorder of this process.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Installs the recorder of this process. Call it before the enclave opens: the enclave looks its metrics up once.
    ///
    /// # Errors
    /// When a recorder is installed already.
    pub fn start() -> Result<Self, BuildError> {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
            .set_buckets_for_metric(Matcher::Full(AUDIT_BATCH.to_owned()), &RECORDS)?;
        let metrics = Self(builder.install_recorder()?);
        describe();
        gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        gauge!(STARTED).set(unix_seconds());
        Ok(metrics)
    }

    /// All metrics in the Prometheus text format.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Moves observations into histogram buckets; call it periodically, or memory grows while nothing scrapes.
    pub fn run_upkeep(&self) {
        self.0.run_upkeep();
    }
}

fn describe() {
    describe_counter!(REQUESTS, "Answered requests, by operation and error code; `ok` is success.");
    describe_histogram!(
        REQUEST_SECONDS,
        Unit::Seconds,
        "Time from the head of a request to its response, by operation."
    );
    describe_gauge!(LAST_SIGNATURE, Unit::Seconds, "Time of the last signature, Unix seconds.");
    describe_gauge!(STUCK_SINKS, "Places that have not taken an audit checkpoint for too long.");
    describe_counter!(AUDIT_RECORDS, "Audit records that became durable.");
    describe_histogram!(AUDIT_BATCH, "Audit records in one durable write.");
    describe_histogram!(
        AUDIT_COMMIT_SECONDS,
        Unit::Seconds,
        "Duration of one durable write of the audit log."
    );
    describe_counter!(
        AUDIT_FAILURES,
        "Failed writes of the audit log; after each, the service signs nothing until the log recovers."
    );
    describe_gauge!(AUDIT_WRITABLE, "1 while the audit log can be written; at 0 the service signs nothing.");
    describe_gauge!(AUDIT_TREE_SIZE, "Size of the audit log's Merkle tree, in records.");
    describe_gauge!(CHECKPOINT_TREE_SIZE, "Tree size of the newest checkpoint, in records.");
    describe_gauge!(CHECKPOINT_TIME, Unit::Seconds, "Time of the newest checkpoint, Unix seconds.");
    describe_gauge!(HSM_READY, "1 while the PKCS#11 token is logged in and usable.");
    describe_gauge!(HSM_STOPPED, "1 when the service stopped using the token until an operator acts.");
    describe_counter!(HSM_RECOVERIES, "Recoveries of the connection to the token.");
    describe_gauge!(CANARY_OK, "1 when the last multiplication with the canary record had the right result.");
    describe_gauge!(CANARY_AGE, Unit::Seconds, "Time since the last canary check.");
    describe_gauge!(QUEUE_DEPTH, "Operations in the queue of the enclave.");
    describe_gauge!(WORKERS, "Worker threads that accept operations.");
    describe_gauge!(STUCK_WORKERS, "Worker threads whose PKCS#11 call exceeded `enclave.stall_timeout`.");
    describe_gauge!(KEYS, "Key versions, by state.");
    describe_gauge!(KEYS_UNREADABLE, "Wrapped records in the token that cannot be read or authenticated.");
    describe_gauge!(OVERDUE, "Keys whose next version is past its activation date.");
    describe_gauge!(OLDEST, Unit::Seconds, "Age of the oldest active version since its activation.");
    describe_gauge!(
        NEXT_ROTATION,
        Unit::Seconds,
        "Time until the next scheduled rotation; negative when overdue, +Inf without a schedule."
    );
    describe_gauge!(PAST_RETIREMENT, "Retiring versions that signed after the end of their overlap.");
    describe_gauge!(DELIVERIES_PENDING, "Events that wait for delivery to a webhook.");
    describe_gauge!(DELIVERIES_FAILING, "Events whose delivery failed at least once and is retried.");
    describe_gauge!(FROZEN, "1 while the administrator has frozen the service: nothing is signed.");
    describe_gauge!(BUILD, "Always 1; the label is the version of the program.");
    describe_gauge!(STARTED, Unit::Seconds, "Start time of the process, Unix seconds.");
}

/// Counts an answered request and its duration.
pub fn answered(operation: &'static str, code: &'static str, begun: Instant) {
    histogram!(REQUEST_SECONDS, "operation" => operation).record(begun.elapsed());
    counter!(REQUESTS, "operation" => operation, "code" => code).increment(1);
}

/// Notes the time of a signature.
pub fn signed() {
    gauge!(LAST_SIGNATURE).set(unix_seconds());
}

/// Notes the newest checkpoint of the audit log.
pub fn checkpointed(size: u64) {
    gauge!(CHECKPOINT_TREE_SIZE).set(whole(size));
    gauge!(CHECKPOINT_TIME).set(unix_seconds());
}

/// Sets the gauges of the audit log.
pub fn show_audit(writable: bool, size: u64) {
    gauge!(AUDIT_WRITABLE).set(flag(writable));
    gauge!(AUDIT_TREE_SIZE).set(whole(size));
}

/// Sets the gauge of the freeze.
pub fn show_freeze(frozen: bool) {
    gauge!(FROZEN).set(flag(frozen));
}

/// State of the enclave at the time of a scrape.
#[derive(Clone, Copy, Debug)]
pub struct EnclaveReading {
    /// The token is logged in and usable.
    pub ready: bool,
    /// The service stopped using the token until an operator acts.
    pub stopped: bool,
    /// Recoveries of the connection to the token.
    pub recoveries: u64,
    /// The last canary check: whether the result was right, and its age.
    pub canary: Option<(bool, Duration)>,
    /// Operations in the queue.
    pub queue_depth: usize,
    /// Worker threads that accept operations.
    pub workers: usize,
    /// Worker threads whose PKCS#11 call exceeded the stall timeout.
    pub stuck_workers: usize,
    /// Wrapped records that cannot be read or authenticated.
    pub unreadable_keys: usize,
}

/// Sets the gauges of the enclave.
pub fn show_enclave(reading: EnclaveReading) {
    let (passed, age) =
        reading.canary.map_or((false, f64::INFINITY), |(good, age)| (good, age.as_secs_f64()));
    gauge!(HSM_READY).set(flag(reading.ready));
    gauge!(HSM_STOPPED).set(flag(reading.stopped));
    counter!(HSM_RECOVERIES).absolute(reading.recoveries);
    gauge!(CANARY_OK).set(flag(passed));
    gauge!(CANARY_AGE).set(age);
    gauge!(QUEUE_DEPTH).set(whole(reading.queue_depth as u64));
    gauge!(WORKERS).set(whole(reading.workers as u64));
    gauge!(STUCK_WORKERS).set(whole(reading.stuck_workers as u64));
    gauge!(KEYS_UNREADABLE).set(whole(reading.unreadable_keys as u64));
}

/// Sets the number of versions in each state; a state without versions is 0.
pub fn show_keys(states: impl Iterator<Item = KeyState>) {
    let mut counts = [0_u64; KeyState::ALL.len()];
    for state in states {
        let index = KeyState::ALL.iter().position(|known| *known == state);
        if let Some(count) = index.and_then(|index| counts.get_mut(index)) {
            *count += 1;
        }
    }
    for (state, count) in KeyState::ALL.iter().zip(counts) {
        gauge!(KEYS, "state" => state.as_str()).set(whole(count));
    }
}

/// State of rotation at the time of a scrape.
#[derive(Clone, Copy, Debug)]
pub struct RotationReading {
    /// Keys whose next version is past its activation date.
    pub overdue: usize,
    /// Age of the oldest active version, seconds; `None` without keys.
    pub oldest_seconds: Option<i64>,
    /// Seconds until the next scheduled rotation; negative when overdue, `None` without schedules.
    pub next_seconds: Option<i64>,
    /// Retiring versions that signed after the end of their overlap.
    pub signing_after_end: u64,
    /// Events that wait for delivery to a webhook.
    pub undelivered: u64,
    /// Those of them whose delivery failed at least once.
    pub failed_deliveries: u64,
}

/// Sets the gauges of rotation.
pub fn show_rotation(reading: RotationReading) {
    gauge!(OVERDUE).set(whole(reading.overdue as u64));
    gauge!(OLDEST).set(reading.oldest_seconds.unwrap_or(0) as f64);
    gauge!(NEXT_ROTATION).set(reading.next_seconds.map_or(f64::INFINITY, |seconds| seconds as f64));
    gauge!(PAST_RETIREMENT).set(whole(reading.signing_after_end));
    gauge!(DELIVERIES_PENDING).set(whole(reading.undelivered));
    gauge!(DELIVERIES_FAILING).set(whole(reading.failed_deliveries));
}

const fn flag(on: bool) -> f64 {
    if on { 1.0 } else { 0.0 }
}

/// Exact below 2^53; no counter here reaches that.
const fn whole(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::disallowed_methods, reason = "a figure for monitoring decides nothing")]
fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests;
