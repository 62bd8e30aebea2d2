//! Durations and errors of calls, by function, and the call that runs during a start.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

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

/// The call that runs, while a start is watched; only one thread makes calls then.
static RUNNING: Mutex<Option<(Function, Instant)>> = Mutex::new(None);
static WATCHED: AtomicBool = AtomicBool::new(false);

/// Notes the call that runs, as long as it lasts.
pub(super) struct Noted(bool);

impl Noted {
    /// Costs nothing where no start is watched.
    pub(super) fn begin(function: Function) -> Self {
        let watched = WATCHED.load(Ordering::Relaxed);
        if watched {
            *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = Some((function, Instant::now()));
        }
        Self(watched)
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        if self.0 {
            *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

/// Begins or ends noting the call that runs, for [`call_in_progress`]: while one thread makes calls, at a start.
pub fn watch_calls(watched: bool) {
    WATCHED.store(watched, Ordering::Relaxed);
}

/// The call of the module that runs, and for how long.
#[must_use]
pub fn call_in_progress() -> Option<(Function, Duration)> {
    let running = *RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    running.map(|(function, since)| (function, since.elapsed()))
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
