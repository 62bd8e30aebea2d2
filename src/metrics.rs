//! What the service counts and times, in Prometheus' form: the one list of names, buckets and labels.
//!
//! A label takes a fixed set of words: operations, codes, states. Never an address or a name of a key, which clients
//! choose; an id only in the bounded [`series`] of single keys. Not for: deciding anything, and the enclave's own figures, which
//! `hsm` names itself.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ::metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::key::KeyState;

pub mod series;

const REQUESTS: &str = "avs_kms_requests_total";
const REQUEST_SECONDS: &str = "avs_kms_request_seconds";
const LAST_SIGNATURE: &str = "avs_kms_last_signature_timestamp_seconds";
const AUDIT_RECORDS: &str = "avs_kms_audit_records_total";
const AUDIT_BATCH: &str = "avs_kms_audit_batch_records";
const AUDIT_COMMIT_SECONDS: &str = "avs_kms_audit_commit_seconds";
const AUDIT_FAILURES: &str = "avs_kms_audit_failures_total";
const AUDIT_WRITABLE: &str = "avs_kms_audit_writable";
const AUDIT_SIZE: &str = "avs_kms_audit_size_records";
const CHECKPOINT_SIZE: &str = "avs_kms_audit_checkpoint_size_records";
const CHECKPOINT_TIME: &str = "avs_kms_audit_checkpoint_timestamp_seconds";
const TOKEN_READY: &str = "avs_kms_token_ready";
const TOKEN_STOPPED: &str = "avs_kms_token_stopped";
const TOKEN_RECOVERIES: &str = "avs_kms_token_recoveries_total";
const CANARY_PASSED: &str = "avs_kms_canary_passed";
const CANARY_AGE: &str = "avs_kms_canary_age_seconds";
const QUEUE_DEPTH: &str = "avs_kms_enclave_queue_depth";
const WORKERS: &str = "avs_kms_enclave_workers";
const STUCK_WORKERS: &str = "avs_kms_enclave_stuck_workers";
const KEYS: &str = "avs_kms_keys";
const DAMAGED_KEYS: &str = "avs_kms_damaged_keys";
const OVERDUE: &str = "avs_kms_rotations_overdue";
const OLDEST: &str = "avs_kms_oldest_key_age_seconds";
const NEXT_ROTATION: &str = "avs_kms_next_rotation_due_seconds";
const SIGNING_AFTER_END: &str = "avs_kms_versions_signing_after_end";
const UNDELIVERED: &str = "avs_kms_webhook_deliveries_waiting";
const FAILED_DELIVERIES: &str = "avs_kms_webhook_deliveries_failing";
const BUILD: &str = "avs_kms_build_info";
const STARTED: &str = "avs_kms_start_timestamp_seconds";

/// From the cost of one multiplication to the longest deadline, seconds.
const SECONDS: [f64; 18] = [
    0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
    0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Records of one batch.
const RECORDS: [f64; 8] = [1.0, 4.0, 16.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// The figures of this process.
#[derive(Clone)]
pub struct Figures(PrometheusHandle);

impl std::fmt::Debug for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Figures")
    }
}

impl Figures {
    /// Begins to count, for the whole process. Before the enclave is opened, which looks its instruments up once.
    ///
    /// # Errors
    /// When something counts already.
    pub fn start() -> Result<Self, BuildError> {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
            .set_buckets_for_metric(Matcher::Full(AUDIT_BATCH.to_owned()), &RECORDS)?;
        let figures = Self(builder.install_recorder()?);
        describe();
        gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        gauge!(STARTED).set(unix_seconds());
        Ok(figures)
    }

    /// Everything, in Prometheus' text form.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Sorts what was measured into buckets: without it, memory grows where nobody scrapes.
    pub fn tidy(&self) {
        self.0.run_upkeep();
    }
}

fn describe() {
    describe_counter!(REQUESTS, "Requests that were answered, by operation and code; `ok` is success.");
    describe_histogram!(
        REQUEST_SECONDS,
        Unit::Seconds,
        "Time from a request's head to its answer, by operation."
    );
    describe_gauge!(LAST_SIGNATURE, Unit::Seconds, "When the last signature left, in Unix time.");
    describe_counter!(AUDIT_RECORDS, "Records that became durable.");
    describe_histogram!(AUDIT_BATCH, "Records in one durable write.");
    describe_histogram!(AUDIT_COMMIT_SECONDS, Unit::Seconds, "Time of one durable write of the audit log.");
    describe_counter!(
        AUDIT_FAILURES,
        "Writes of the audit log that failed; after each, nothing is signed for a while."
    );
    describe_gauge!(AUDIT_WRITABLE, "1 while the audit log can be written; at 0 nothing is signed.");
    describe_gauge!(AUDIT_SIZE, "Records in the audit log.");
    describe_gauge!(CHECKPOINT_SIZE, "Records that the newest checkpoint covers.");
    describe_gauge!(CHECKPOINT_TIME, Unit::Seconds, "When the newest checkpoint was signed, in Unix time.");
    describe_gauge!(TOKEN_READY, "1 while the token is logged in and serves.");
    describe_gauge!(TOKEN_STOPPED, "1 when the token is given up until an operator acts.");
    describe_counter!(TOKEN_RECOVERIES, "How many times the connection to the token was made anew.");
    describe_gauge!(CANARY_PASSED, "1 when the last check of the token by its canary record was good.");
    describe_gauge!(CANARY_AGE, Unit::Seconds, "Time since that check.");
    describe_gauge!(QUEUE_DEPTH, "Operations that wait for a worker.");
    describe_gauge!(WORKERS, "Worker threads that can take work.");
    describe_gauge!(
        STUCK_WORKERS,
        "Worker threads that have been inside one call of the token for too long."
    );
    describe_gauge!(KEYS, "Versions of keys, by state.");
    describe_gauge!(DAMAGED_KEYS, "Records in the token that are damaged and refused.");
    describe_gauge!(OVERDUE, "Keys whose next version should be current by now.");
    describe_gauge!(OLDEST, Unit::Seconds, "For how long the oldest current version has been current.");
    describe_gauge!(
        NEXT_ROTATION,
        Unit::Seconds,
        "Until the first key is due for its next version; negative when it is overdue, +Inf without a schedule."
    );
    describe_gauge!(SIGNING_AFTER_END, "Retiring versions that signed after their overlap was over.");
    describe_gauge!(UNDELIVERED, "Events that wait for a webhook.");
    describe_gauge!(
        FAILED_DELIVERIES,
        "Events that a webhook did not take at least once, and that are tried again."
    );
    describe_gauge!(BUILD, "1; the version is the label.");
    describe_gauge!(STARTED, Unit::Seconds, "When the process started, in Unix time.");
}

/// A request was answered.
pub fn answered(operation: &'static str, code: &'static str, begun: Instant) {
    histogram!(REQUEST_SECONDS, "operation" => operation).record(begun.elapsed());
    counter!(REQUESTS, "operation" => operation, "code" => code).increment(1);
}

/// A signature was made.
pub fn signed() {
    gauge!(LAST_SIGNATURE).set(unix_seconds());
}

/// A batch of the audit log became durable.
pub fn committed(records: usize, took: Duration) {
    let records = u32::try_from(records).unwrap_or(u32::MAX);
    counter!(AUDIT_RECORDS).increment(records.into());
    histogram!(AUDIT_BATCH).record(f64::from(records));
    histogram!(AUDIT_COMMIT_SECONDS).record(took);
}

/// A write of the audit log failed.
pub fn commit_failed() {
    counter!(AUDIT_FAILURES).increment(1);
}

/// A checkpoint of the audit log was signed.
pub fn checkpointed(size: u64) {
    gauge!(CHECKPOINT_SIZE).set(whole(size));
    gauge!(CHECKPOINT_TIME).set(unix_seconds());
}

/// Shows the state of the audit log.
pub fn show_audit(writable: bool, size: u64) {
    gauge!(AUDIT_WRITABLE).set(flag(writable));
    gauge!(AUDIT_SIZE).set(whole(size));
}

/// The state of the enclave, read off when somebody looks.
#[derive(Clone, Copy, Debug)]
pub struct EnclaveReading {
    /// Logged in and serving.
    pub ready: bool,
    /// Given up until an operator acts.
    pub stopped: bool,
    /// How many times the connection was made anew.
    pub recoveries: u64,
    /// The last check of the token: whether it was good, and how long ago.
    pub canary: Option<(bool, Duration)>,
    /// Operations that wait.
    pub queue_depth: usize,
    /// Threads that can take work.
    pub workers: usize,
    /// Threads that are stuck in the token.
    pub stuck_workers: usize,
    /// Damaged records.
    pub damaged_keys: usize,
}

/// Shows the state of the enclave.
pub fn show_enclave(reading: EnclaveReading) {
    let (passed, age) =
        reading.canary.map_or((false, f64::INFINITY), |(good, age)| (good, age.as_secs_f64()));
    gauge!(TOKEN_READY).set(flag(reading.ready));
    gauge!(TOKEN_STOPPED).set(flag(reading.stopped));
    counter!(TOKEN_RECOVERIES).absolute(reading.recoveries);
    gauge!(CANARY_PASSED).set(flag(passed));
    gauge!(CANARY_AGE).set(age);
    gauge!(QUEUE_DEPTH).set(whole(reading.queue_depth as u64));
    gauge!(WORKERS).set(whole(reading.workers as u64));
    gauge!(STUCK_WORKERS).set(whole(reading.stuck_workers as u64));
    gauge!(DAMAGED_KEYS).set(whole(reading.damaged_keys as u64));
}

/// Shows how many versions are in each state; a state without any is shown as 0.
pub fn show_keys(states: impl Iterator<Item = KeyState>) {
    let mut counts = [0_u64; KeyState::ALL.len()];
    for state in states {
        let place = KeyState::ALL.iter().position(|known| *known == state);
        if let Some(count) = place.and_then(|place| counts.get_mut(place)) {
            *count += 1;
        }
    }
    for (state, count) in KeyState::ALL.iter().zip(counts) {
        gauge!(KEYS, "state" => state.as_str()).set(whole(count));
    }
}

/// Where rotation stands, read off when somebody looks.
#[derive(Clone, Copy, Debug)]
pub struct RotationReading {
    /// Keys whose next version should be current by now.
    pub overdue: usize,
    /// The age of the oldest current version, seconds; none without keys.
    pub oldest_seconds: Option<i64>,
    /// Until the first key is due, seconds; negative when it is overdue, none without schedules.
    pub next_seconds: Option<i64>,
    /// Versions that signed after their end.
    pub signing_after_end: u64,
    /// Deliveries to webhooks that wait.
    pub undelivered: u64,
    /// Those of them that failed at least once.
    pub failed_deliveries: u64,
}

/// Shows where rotation stands.
pub fn show_rotation(reading: RotationReading) {
    gauge!(OVERDUE).set(whole(reading.overdue as u64));
    gauge!(OLDEST).set(reading.oldest_seconds.unwrap_or(0) as f64);
    gauge!(NEXT_ROTATION).set(reading.next_seconds.map_or(f64::INFINITY, |seconds| seconds as f64));
    gauge!(SIGNING_AFTER_END).set(whole(reading.signing_after_end));
    gauge!(UNDELIVERED).set(whole(reading.undelivered));
    gauge!(FAILED_DELIVERIES).set(whole(reading.failed_deliveries));
}

const fn flag(on: bool) -> f64 {
    if on { 1.0 } else { 0.0 }
}

/// Exact below 2^53, which no counter here reaches.
const fn whole(number: u64) -> f64 {
    number as f64
}

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests;
