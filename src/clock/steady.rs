//! Time that never goes back: what has expired stays expired, whatever happens to the wall clock.
//!
//! It continues with the monotonic clock when the wall clock is set back. It follows a wall clock that is ahead of it
//! only after an observation time, so that a jump that is corrected in time does no harm. Not for: dates that people set
//! (`Clock::now`).

use std::time::Duration;

use jiff::Timestamp;

use super::moment::Moment;

/// How long the clock is observed after a start and after a jump: time for an operator to correct it.
pub const SETTLING: Duration = Duration::from_secs(3_600);

/// How much two looks may differ on the two clocks.
const TOLERANCE: Duration = Duration::from_secs(60);

/// The highest time that was seen, and how it continues.
#[derive(Debug)]
pub(super) struct SteadyTime {
    highest: Timestamp,
    last: Moment,
    /// On the monotonic clock: until then a wall clock that is ahead is not followed.
    settled_at: Duration,
}

impl SteadyTime {
    /// Begins with the wall clock; [`raise`](Self::raise) adds what an earlier process has seen.
    pub(super) const fn new(start: Moment) -> Self {
        Self { highest: start.wall, last: start, settled_at: start.monotonic }
    }

    /// A time that an earlier process has seen.
    pub(super) fn raise(&mut self, seen: Timestamp) {
        self.highest = self.highest.max(seen);
    }

    /// The highest time that is believed.
    pub(super) fn highest(&mut self, now: Moment) -> Timestamp {
        let steady = now.monotonic.saturating_sub(self.last.monotonic);
        let expected = self.last.wall.saturating_add(steady).unwrap_or(Timestamp::MAX);
        if now.wall > expected.saturating_add(TOLERANCE).unwrap_or(Timestamp::MAX) {
            self.settled_at = now.monotonic.saturating_add(SETTLING);
        }
        self.last = now;
        self.highest = self.highest.saturating_add(steady).unwrap_or(Timestamp::MAX);
        if now.monotonic >= self.settled_at {
            self.highest = self.highest.max(now.wall);
        }
        self.highest
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    const YEAR: i64 = 365 * 86_400;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + seconds).unwrap()
    }

    fn moment(wall: i64, steady: u64) -> Moment {
        Moment { wall: at(wall), monotonic: Duration::from_secs(steady) }
    }

    #[test]
    fn a_clock_that_is_set_back_leaves_time_where_it_was_and_running() {
        let mut time = SteadyTime::new(moment(0, 0));
        assert_eq!(time.highest(moment(3_600, 3_600)), at(3_600));
        assert_eq!(time.highest(moment(-YEAR, 3_660)), at(3_660));
        assert_eq!(time.highest(moment(-YEAR + 600, 4_260)), at(4_260));
    }

    #[test]
    fn a_jump_ahead_counts_after_an_hour_only() {
        let mut time = SteadyTime::new(moment(0, 0));
        assert_eq!(time.highest(moment(YEAR, 60)), at(60), "a jump");
        assert_eq!(time.highest(moment(120, 120)), at(120), "it was corrected in time");
        assert_eq!(time.highest(moment(YEAR, 180)), at(180));
        assert_eq!(time.highest(moment(YEAR + 3_599, 3_779)), at(3_779));
        assert_eq!(time.highest(moment(YEAR + 3_600, 3_780)), at(YEAR + 3_600));
    }

    #[test]
    fn what_an_earlier_process_has_seen_counts_at_once() {
        let mut time = SteadyTime::new(moment(-YEAR, 0));
        time.raise(at(0));
        assert_eq!(time.highest(moment(-YEAR + 60, 60)), at(60));
    }
}
