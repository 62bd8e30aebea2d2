//! Durations and errors of calls, by function.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::Instant;

use metrics::Histogram;

use super::error::{Function, TokenError};
use crate::telemetry;

thread_local! {
    /// Whether this thread makes a call that the module must refuse.
    static REFUSAL_EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Makes calls that the module must refuse: that it does is no error, and no alarm may count it.
pub(crate) fn expecting_refusal<R>(calls: impl FnOnce() -> R) -> R {
    let before = REFUSAL_EXPECTED.replace(true);
    let result = calls();
    REFUSAL_EXPECTED.set(before);
    result
}

/// A call of the module has ended.
pub(super) fn ended<R>(function: Function, result: &Result<R, TokenError>, begun: Instant) {
    static CALLS: OnceLock<Vec<Histogram>> = OnceLock::new();
    // Every multiplication passes here: the instruments are looked up once.
    let calls = CALLS.get_or_init(|| {
        Function::ALL.iter().map(|function| telemetry::call_histogram(function.name())).collect()
    });
    if let Some(histogram) = calls.get(function as usize) {
        histogram.record(begun.elapsed());
    }
    if let Err(error) = result
        && !REFUSAL_EXPECTED.get()
    {
        telemetry::call_failed(error.function.name(), error.cause.label());
    }
}
