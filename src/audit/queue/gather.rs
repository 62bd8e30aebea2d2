//! How long the writer waits for company when several wait already: one sync for many costs what one for two does.
//!
//! As databases do it (PostgreSQL's `commit_delay` and `commit_siblings`). Who is alone waits for nobody.

use std::time::Instant;

use super::super::sync::GATHER;

/// So many are company enough, however many come: a sync for them costs each of them little, and the rest meets while
/// it runs.
const COMPANY: usize = 64;

#[derive(Default)]
pub(super) struct Gather {
    /// How many the last batch held that somebody waited for: so many may come again. No more than [`COMPANY`].
    expected: usize,
    /// Since when the next batch waits for company.
    since: Option<Instant>,
}

impl Gather {
    /// Until when to wait, with so many waiting; `None`: go.
    pub(super) fn until(&mut self, waiting: usize, now: Instant) -> Option<Instant> {
        if self.expected < 2 || waiting >= self.expected {
            return None;
        }
        let due = *self.since.get_or_insert(now) + GATHER;
        (now < due).then_some(due)
    }

    /// Whether the writer is to be woken at this number of waiting ones.
    pub(super) const fn is_complete(&self, waiting: usize) -> bool {
        waiting == self.expected
    }

    /// A batch goes.
    pub(super) fn gone(&mut self, waited: usize) {
        *self = Self { expected: waited.min(COMPANY), since: None };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_is_alone_waits_for_nobody_and_a_crowd_waits_for_its_like_but_not_long() {
        // In the model of the schedules it is nothing.
        let (mut gather, now, most) =
            (Gather::default(), Instant::now(), GATHER.max(Duration::from_nanos(2)));
        let waits = |until: Option<Instant>| until.is_some() != GATHER.is_zero();
        assert_eq!(gather.until(1, now), None);
        gather.gone(1);
        assert_eq!(gather.until(1, now), None);
        gather.gone(8);
        assert!(waits(gather.until(3, now)));
        assert!(waits(gather.until(7, now + most / 2)));
        assert!(gather.is_complete(8));
        assert_eq!(gather.until(8, now), None);
        assert_eq!(gather.until(3, now + most), None, "the wait began with the first look");
        gather.gone(3);
        assert!(waits(gather.until(2, now)));
        gather.gone(1_000);
        assert!(waits(gather.until(COMPANY - 1, now)));
        assert_eq!(gather.until(COMPANY, now), None);
    }
}
