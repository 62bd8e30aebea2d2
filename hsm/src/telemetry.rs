//! What the enclave counts and times, under the names of `docs/reference/metrics.md`.
//!
//! Goes to whatever recorder the process has installed before the enclave is opened; without one it costs a branch.
//! Labels are words of the standard or of this crate, never ids and never anything secret. Not for: logs, health.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use metrics::{
    Counter, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

const CALL_SECONDS: &str = "avs_kms_pkcs11_call_seconds";
const CALL_ERRORS: &str = "avs_kms_pkcs11_errors_total";
const SESSIONS: &str = "avs_kms_pkcs11_sessions";
const OPERATIONS: &str = "avs_kms_enclave_operations_total";
const WAIT_SECONDS: &str = "avs_kms_enclave_queue_seconds";
const WORK_SECONDS: &str = "avs_kms_enclave_operation_seconds";

/// Says what each name means. Once per process, after the recorder was installed.
pub fn describe() {
    describe_histogram!(
        CALL_SECONDS,
        Unit::Seconds,
        "Time inside one call of the PKCS#11 module, by function."
    );
    describe_counter!(
        CALL_ERRORS,
        "Calls of the PKCS#11 module that were refused, by function and return code."
    );
    describe_gauge!(SESSIONS, "Open PKCS#11 sessions of this process.");
    describe_counter!(OPERATIONS, "Operations that the enclave ended, by kind and result.");
    describe_histogram!(WAIT_SECONDS, Unit::Seconds, "Time that a multiplication waited for a worker.");
    describe_histogram!(WORK_SECONDS, Unit::Seconds, "Time that a worker spent on an operation, by kind.");
}

/// What the enclave does for a caller or for itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OperationKind {
    Anchor,
    Canary,
    Checkpoint,
    Create,
    Destroy,
    Multiply,
}

impl OperationKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Anchor => "anchor",
            Self::Canary => "canary",
            Self::Checkpoint => "checkpoint",
            Self::Create => "create",
            Self::Destroy => "destroy",
            Self::Multiply => "multiply",
        }
    }
}

/// Every multiplication passes here: its instruments are looked up once.
struct HotMetrics {
    wait: Histogram,
    work: Histogram,
    ok: Counter,
}

fn hot() -> &'static HotMetrics {
    static HOT: OnceLock<HotMetrics> = OnceLock::new();
    HOT.get_or_init(|| {
        let kind = OperationKind::Multiply.as_str();
        HotMetrics {
            wait: histogram!(WAIT_SECONDS),
            work: histogram!(WORK_SECONDS, "kind" => kind),
            ok: counter!(OPERATIONS, "kind" => kind, "result" => "ok"),
        }
    })
}

/// Durations of calls of one PKCS#11 function.
pub(crate) fn call_histogram(function: &'static str) -> Histogram {
    histogram!(CALL_SECONDS, "function" => function)
}

/// A call of the module failed.
pub(crate) fn call_failed(function: &'static str, cause: String) {
    counter!(CALL_ERRORS, "function" => function, "code" => cause).increment(1);
}

/// A session was opened or closed.
pub(crate) fn sessions(opened: bool) {
    let sessions = gauge!(SESSIONS);
    if opened { sessions.increment(1.0) } else { sessions.decrement(1.0) }
}

/// A multiplication left the queue.
pub(crate) fn waited(time: Duration) {
    hot().wait.record(time);
}

/// A check of the token ended.
pub(crate) fn canary(good: bool, begun: Instant) {
    note(OperationKind::Canary, if good { "ok" } else { "failed" }, begun);
}

/// The label of an operation that succeeded.
pub(crate) const OK: &str = "ok";

/// An operation ended with this result.
pub(crate) fn ended(kind: OperationKind, result: &'static str, begun: Instant) {
    match (kind, result) {
        (OperationKind::Multiply, OK) => {
            hot().work.record(begun.elapsed());
            hot().ok.increment(1);
        }
        _ => note(kind, result, begun),
    }
}

fn note(kind: OperationKind, result: &'static str, begun: Instant) {
    histogram!(WORK_SECONDS, "kind" => kind.as_str()).record(begun.elapsed());
    counter!(OPERATIONS, "kind" => kind.as_str(), "result" => result).increment(1);
}
