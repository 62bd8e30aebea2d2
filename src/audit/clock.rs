//! Notices when the wall clock was set: wall time minus monotonic time moved, and the log says so.
//!
//! Order in the log is by number, never by time; this tells the reader which times to doubt. Not for: correcting any.

use super::queue::{Entry, Role};
use super::record::{Stamp, clock_step_body};

/// A smaller step is the clock's discipline at work.
const STEP_NS: u128 = 2_000_000_000;

/// The difference of the clocks as the log last said it, nanoseconds.
pub(crate) struct Clock(i128);

impl Clock {
    pub(crate) fn new(stamp: Stamp) -> Self {
        Self(difference(stamp))
    }

    /// The note of a step that was taken until then.
    pub(crate) fn look(&mut self, stamp: Stamp) -> Option<Entry> {
        let moved = difference(stamp) - self.0;
        if moved.unsigned_abs() <= STEP_NS {
            return None;
        }
        self.0 = difference(stamp);
        let body = clock_step_body(i64::try_from(moved / 1_000_000).unwrap_or(i64::MAX));
        Some(Entry { body, stamp, role: Role::Note { ack: None } })
    }

    /// Puts a note of each step before the first record that was stamped after it.
    pub(crate) fn mark(&mut self, batch: &mut Vec<Entry>) {
        let mut at = 0;
        while let Some(stamp) = batch.get(at).map(|entry| entry.stamp) {
            if let Some(note) = self.look(stamp) {
                batch.insert(at, note);
                at += 1;
            }
            at += 1;
        }
    }
}

fn difference(stamp: Stamp) -> i128 {
    i128::from(stamp.wall_ns) - i128::from(stamp.mono_ns)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test should panic")]

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn stamp(wall: u64, mono: u64) -> Stamp {
        Stamp { wall_ns: wall * SECOND, mono_ns: mono * SECOND }
    }

    #[test]
    fn a_clock_that_is_set_forward_or_back_is_noted_once_before_the_first_record_after_it() {
        let mut clock = Clock::new(stamp(1_000, 10));
        let times = [(1_001, 11), (1_003, 11), (4_600, 12), (4_601, 13), (3_600, 14), (3_601, 15)];
        let entry = |(wall, mono)| Entry {
            body: b"\"kind\":\"event\"}".to_vec(),
            stamp: stamp(wall, mono),
            role: Role::Note { ack: None },
        };
        let mut batch: Vec<_> = times.into_iter().map(entry).collect();
        clock.mark(&mut batch);
        let said: Vec<_> = batch.iter().map(|entry| String::from_utf8(entry.body.clone()).unwrap()).collect();
        let steps: Vec<_> = said.iter().enumerate().filter(|(_, body)| body.contains("clock_step")).collect();
        assert_eq!(steps.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [2, 5], "{said:?}");
        assert!(steps[0].1.contains("\"moved_ms\":3598000"), "{said:?}");
        assert!(steps[1].1.contains("\"moved_ms\":-1002000"), "{said:?}");
        assert!(clock.look(stamp(3_602, 16)).is_none());
    }
}
