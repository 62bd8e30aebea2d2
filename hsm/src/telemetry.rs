//! What the enclave counts and times, under the names of `docs/reference/metrics.md`.
//!
//! Goes to whatever recorder the process has installed before the enclave is opened; without one it costs a branch.
//! Labels are words of the standard or of this crate, never ids and never anything secret. Not for: logs, health.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use metrics::{
    Counter, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use crate::error::EnclaveError;
use crate::pkcs11::{Call, TokenError};

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
pub(crate) enum Kind {
    Anchor,
    Canary,
    Checkpoint,
    Create,
    Destroy,
    Multiply,
}

impl Kind {
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
struct Hot {
    calls: Vec<Histogram>,
    wait: Histogram,
    work: Histogram,
    ok: Counter,
}

fn hot() -> &'static Hot {
    static HOT: OnceLock<Hot> = OnceLock::new();
    HOT.get_or_init(|| {
        let kind = Kind::Multiply.as_str();
        Hot {
            calls: Call::ALL.iter().map(|call| histogram!(CALL_SECONDS, "function" => call.name())).collect(),
            wait: histogram!(WAIT_SECONDS),
            work: histogram!(WORK_SECONDS, "kind" => kind),
            ok: counter!(OPERATIONS, "kind" => kind, "result" => "ok"),
        }
    })
}

/// One call of the module ended.
pub(crate) fn called(call: Call, result: Result<(), TokenError>, begun: Instant) {
    if let Some(histogram) = hot().calls.get(call as usize) {
        histogram.record(begun.elapsed());
    }
    if let Err(error) = result {
        counter!(CALL_ERRORS, "function" => call.name(), "code" => error.code.label()).increment(1);
    }
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
    note(Kind::Canary, if good { "ok" } else { "failed" }, begun);
}

/// An operation ended.
pub(crate) fn ended<T>(kind: Kind, result: &Result<T, EnclaveError>, begun: Instant) {
    match (kind, result) {
        (Kind::Multiply, Ok(_)) => {
            hot().work.record(begun.elapsed());
            hot().ok.increment(1);
        }
        (_, Ok(_)) => note(kind, "ok", begun),
        (_, Err(error)) => note(kind, error.label(), begun),
    }
}

fn note(kind: Kind, result: &'static str, begun: Instant) {
    histogram!(WORK_SECONDS, "kind" => kind.as_str()).record(begun.elapsed());
    counter!(OPERATIONS, "kind" => kind.as_str(), "result" => result).increment(1);
}
