//! Detects steps of the wall clock: its difference to the monotonic clock changes.
//!
//! The log orders records by number, never by time; a record of the step tells a reader which times
//! to doubt. Not for: correcting any.

use crate::format::time::RecordTime;

/// Smaller changes come from the discipline of the clock (NTP).
const STEP_NS: u128 = 2_000_000_000;

/// The difference of the clocks as last recorded, nanoseconds.
pub(crate) struct Clock(i128);

impl Clock {
    pub(crate) fn new(time: RecordTime) -> Self {
        Self(difference(time))
    }

    /// Milliseconds that the wall clock moved since the last call, if it was set.
    pub(crate) fn step(&mut self, time: RecordTime) -> Option<i64> {
        let moved = difference(time) - self.0;
        if moved.unsigned_abs() <= STEP_NS {
            return None;
        }
        self.0 = difference(time);
        Some(i64::try_from(moved / 1_000_000).unwrap_or(i64::MAX))
    }
}

fn difference(time: RecordTime) -> i128 {
    i128::from(time.wall_ns) - i128::from(time.mono_ns)
}
