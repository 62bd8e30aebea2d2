//! Notices when the wall clock was set: wall time minus monotonic time moved, and the log says so.
//!
//! Order in the log is by number, never by time; this tells the reader which times to doubt. Not for: correcting any.

use crate::format::time::RecordTime;

/// A smaller step is the clock's discipline at work.
const STEP_NS: u128 = 2_000_000_000;

/// The difference of the clocks as the log last said it, nanoseconds.
pub(crate) struct Clock(i128);

impl Clock {
    pub(crate) fn new(time: RecordTime) -> Self {
        Self(difference(time))
    }

    /// By how many milliseconds the wall clock moved since the last look, if it was set.
    pub(crate) fn look(&mut self, time: RecordTime) -> Option<i64> {
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
