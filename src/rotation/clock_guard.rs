//! Detection of jumps of the wall clock: after a jump ahead of the monotonic clock nothing is done for a while, and
//! nothing is destroyed for an observation time after each start and jump.
//!
//! A wrong time server that moves a host a year ahead must not retire and destroy keys a year early. A start cannot
//! tell a wrong clock from a long absence, so what cannot be undone waits until an operator could have looked.

use std::time::Duration;

use crate::clock::{Moment, SETTLING};

/// How much two ticks may differ on the two clocks, seconds.
const TOLERANCE_SECONDS: i128 = 60;

/// Compares the two clocks from tick to tick.
#[derive(Debug)]
pub struct ClockGuard {
    last: Moment,
    /// On the monotonic clock.
    settled_at: Option<Duration>,
    /// The last start or jump, on the monotonic clock.
    observed_since: Duration,
}

impl ClockGuard {
    /// A guard that observes the clock from this moment on.
    pub const fn new(start: Moment) -> Self {
        Self { last: start, settled_at: None, observed_since: start.monotonic }
    }

    /// Whether the clock was observed for this long without a jump: for what cannot be undone.
    pub fn was_observed(&self, time: Duration) -> bool {
        self.last.monotonic.saturating_sub(self.observed_since) >= time
    }

    /// Whether the wall clock can be believed for what can be undone. The first moment after a start is.
    pub fn is_plausible(&mut self, now: Moment) -> bool {
        let last = std::mem::replace(&mut self.last, now);
        let steady = i128::from(now.monotonic.saturating_sub(last.monotonic).as_secs());
        let ahead = i128::from(now.wall.as_second() - last.wall.as_second()) - steady;
        if ahead > TOLERANCE_SECONDS {
            tracing::warn!(seconds = %ahead, "the clock jumped ahead: schedules wait until it has settled");
            self.settled_at = Some(now.monotonic + SETTLING);
            self.observed_since = now.monotonic;
        } else if ahead < -TOLERANCE_SECONDS {
            tracing::warn!(seconds = %-ahead, "the clock jumped back");
            self.settled_at = None;
            self.observed_since = now.monotonic;
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
        let mut guard = ClockGuard::new(moment(0, 0));
        assert!(guard.is_plausible(moment(3_000, 3_000)), "a late tick is no jump");
        assert!(!guard.is_plausible(moment(YEAR, 3_060)));
        assert!(!guard.is_plausible(moment(YEAR + 3_000, 6_060)));
        assert!(guard.is_plausible(moment(YEAR + 3_600, 6_660)));

        assert!(!guard.is_plausible(moment(3 * YEAR, 6_720)));
        assert!(guard.is_plausible(moment(YEAR + 3_720, 6_780)));
    }

    #[test]
    fn what_cannot_be_undone_waits_after_a_start_and_after_a_jump_in_either_direction() {
        let mut guard = ClockGuard::new(moment(0, 0));
        let mut observed = |wall, steady| {
            guard.is_plausible(moment(wall, steady));
            guard.was_observed(SETTLING)
        };
        assert!(!observed(3_599, 3_599) && observed(3_600, 3_600));
        assert!(!observed(0, 3_660) && !observed(3_599, 7_259) && observed(3_600, 7_260));
        assert!(!observed(90_000, 7_320) && !observed(93_599, 10_919) && observed(93_600, 10_920));
    }
}
