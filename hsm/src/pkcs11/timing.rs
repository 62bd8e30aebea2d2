//! Durations and errors of calls, by function.

use std::sync::OnceLock;
use std::time::Instant;

use metrics::Histogram;

use super::error::{Function, TokenError};
use crate::telemetry;

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
    if let Err(error) = result {
        telemetry::call_failed(error.function.name(), error.cause.label());
    }
}
