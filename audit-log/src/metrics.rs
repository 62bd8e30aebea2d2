//! What the writer counts and times. The service describes these names and renders them.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

/// Records that became durable, a counter.
pub const RECORDS: &str = "avs_kms_audit_records_total";
/// Records in one durable write, a histogram.
pub const BATCH_RECORDS: &str = "avs_kms_audit_batch_records";
/// Time of one durable write, seconds, a histogram.
pub const COMMIT_SECONDS: &str = "avs_kms_audit_commit_seconds";
/// Writes that failed, a counter.
pub const FAILURES: &str = "avs_kms_audit_failures_total";
/// Places that have not taken a checkpoint for too long, a gauge.
pub const STUCK_SINKS: &str = "avs_kms_audit_stuck_sinks";

/// A batch became durable.
pub fn committed(records: usize, took: Duration) {
    let records = u32::try_from(records).unwrap_or(u32::MAX);
    counter!(RECORDS).increment(records.into());
    histogram!(BATCH_RECORDS).record(f64::from(records));
    histogram!(COMMIT_SECONDS).record(took);
}

/// A write failed.
pub fn commit_failed() {
    counter!(FAILURES).increment(1);
}

/// How many sinks of checkpoints are stuck.
pub fn stuck_sinks(count: usize) {
    gauge!(STUCK_SINKS).set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
}
