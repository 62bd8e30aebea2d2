//! Detection of jumps of the wall clock: after a jump ahead of the monotonic clock nothing is done for a while.
//!
//! A wrong time server that moves a host a year ahead must not retire and destroy keys a year early. Moving the clock
//! back is harmless: nothing already done is undone or repeated.

use std::time::Duration;

use crate::clock::Moment;

/// How long nothing is done after a jump ahead: time for an operator to correct the clock.
pub const SETTLING: Duration = Duration::from_secs(3_600);

/// How much two ticks may differ on the two clocks, seconds.
const TOLERANCE_SECONDS: i128 = 60;

/// Compares the two clocks from tick to tick.
#[derive(Debug, Default)]
pub struct ClockGuard {
    last: Option<Moment>,
    /// On the monotonic clock.
    settled_at: Option<Duration>,
}

impl ClockGuard {
    /// Whether the wall clock can be believed. The first moment after a start is.
    pub fn is_plausible(&mut self, now: Moment) -> bool {
        if let Some(last) = self.last.replace(now) {
            let steady = i128::from(now.monotonic.saturating_sub(last.monotonic).as_secs());
            let ahead = i128::from(now.wall.as_second() - last.wall.as_second()) - steady;
            if ahead > TOLERANCE_SECONDS {
                tracing::warn!(seconds = %ahead, "the clock jumped ahead: schedules wait until it has settled");
                self.settled_at = Some(now.monotonic + SETTLING);
            } else if ahead < -TOLERANCE_SECONDS {
                tracing::warn!(seconds = %-ahead, "the clock jumped back");
                self.settled_at = None;
            }
        }
        if self.settled_at.is_some_and(|settled| now.monotonic < settled) {
            return false;
        }
        self.settled_at = None;
        true
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn moment(wall: i64, steady: u64) -> Moment {
        let wall = Timestamp::from_second(1_767_225_600 + wall).unwrap_or_default();
        Moment { wall, monotonic: Duration::from_secs(steady) }
    }

    #[test]
    fn a_clock_that_jumps_ahead_is_believed_after_an_hour_and_one_that_comes_back_at_once() {
        const YEAR: i64 = 365 * 86_400;
        let mut guard = ClockGuard::default();
        assert!(guard.is_plausible(moment(0, 0)));
        assert!(guard.is_plausible(moment(3_000, 3_000)), "a late tick is no jump");
        assert!(!guard.is_plausible(moment(YEAR, 3_060)));
        assert!(!guard.is_plausible(moment(YEAR + 3_000, 6_060)));
        assert!(guard.is_plausible(moment(YEAR + 3_600, 6_660)));

        assert!(!guard.is_plausible(moment(3 * YEAR, 6_720)));
        assert!(guard.is_plausible(moment(YEAR + 3_720, 6_780)));
    }
}
