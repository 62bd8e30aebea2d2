//! Whether the calendar can be believed: one that jumps ahead of the other clock is not, for a while.
//!
//! A wrong time server that moves a host a year ahead must not destroy and retire what was to stay for a year. Back is
//! harmless: what was due is undone for nobody, and nothing is due twice.

use std::time::Duration;

use crate::clock::Moment;

/// For so long nothing is done after the calendar jumped ahead: time to put a mistake right.
pub const SETTLING: Duration = Duration::from_secs(3_600);

/// What two looks may differ by on the two clocks, seconds.
const TOLERANCE_SECONDS: i128 = 60;

/// What was seen of the clocks.
#[derive(Debug, Default)]
pub struct ClockGuard {
    last: Option<Moment>,
    /// On the steady clock.
    settled_at: Option<Duration>,
}

impl ClockGuard {
    /// Whether what is due by this moment is due indeed. The first moment after a start is believed.
    pub fn trusts(&mut self, now: Moment) -> bool {
        if let Some(last) = self.last.replace(now) {
            let steady = i128::from(now.steady.saturating_sub(last.steady).as_secs());
            let ahead = i128::from(now.wall.as_second() - last.wall.as_second()) - steady;
            if ahead > TOLERANCE_SECONDS {
                tracing::warn!(seconds = %ahead, "the clock jumped ahead: schedules wait until it has settled");
                self.settled_at = Some(now.steady + SETTLING);
            } else if ahead < -TOLERANCE_SECONDS {
                tracing::warn!(seconds = %-ahead, "the clock jumped back");
                self.settled_at = None;
            }
        }
        if self.settled_at.is_some_and(|settled| now.steady < settled) {
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
        Moment { wall, steady: Duration::from_secs(steady) }
    }

    #[test]
    fn a_clock_that_jumps_ahead_is_believed_after_an_hour_and_one_that_comes_back_at_once() {
        const YEAR: i64 = 365 * 86_400;
        let mut steadiness = ClockGuard::default();
        assert!(steadiness.trusts(moment(0, 0)));
        assert!(steadiness.trusts(moment(3_000, 3_000)), "a late look is no jump");
        assert!(!steadiness.trusts(moment(YEAR, 3_060)));
        assert!(!steadiness.trusts(moment(YEAR + 3_000, 6_060)));
        assert!(steadiness.trusts(moment(YEAR + 3_600, 6_660)));

        assert!(!steadiness.trusts(moment(3 * YEAR, 6_720)));
        assert!(steadiness.trusts(moment(YEAR + 3_720, 6_780)));
    }
}
