//! Group commit: how long the writer waits for more records when several wait already. One sync for
//! many costs as much as one for two.
//!
//! As databases do it (PostgreSQL's `commit_delay` and `commit_siblings`). A single waiter is not
//! delayed.

use std::time::Instant;

use crate::write::queue::sync::GROUP_WAIT;

/// Stop waiting at this many records: the cost of one sync per record is then small, and later
/// records form the next batch.
const ENOUGH_RECORDS: usize = 64;

/// The longest wait, in [`GROUP_WAIT`].
const LONGEST: u32 = 8;

#[derive(Default)]
pub(super) struct GroupCommit {
    /// Number of records with a waiter in the last batch: as many may come again. At most
    /// [`ENOUGH_RECORDS`].
    expected: usize,
    /// Start of the wait of the next batch.
    since: Option<Instant>,
}

impl GroupCommit {
    /// Until when to wait, with `waiting` waiters and this work; `None`: write now.
    pub(super) fn until(&mut self, waiting: usize, work: Work, now: Instant) -> Option<Instant> {
        if self.expected < 2 || self.is_complete(waiting, work) {
            return None;
        }
        let due = *self.since.get_or_insert(now) + GROUP_WAIT * work.times();
        (now < due).then_some(due)
    }

    /// Whether the writer is to be woken at this number of waiters.
    pub(super) fn is_complete(&self, waiting: usize, work: Work) -> bool {
        // The open operations will record again; half of them is a batch, the other half keeps the
        // machine busy.
        let come = if work.times() > 1 { (work.open / 2).min(ENOUGH_RECORDS) } else { 0 };
        waiting >= self.expected.max(come)
    }

    /// A batch is written.
    pub(super) fn written(&mut self, waited: usize) {
        *self = Self { expected: waited.min(ENOUGH_RECORDS), since: None };
    }
}

/// Load of the machine: while all cores are busy, waiting for more records delays no work.
#[derive(Clone, Copy)]
pub(super) struct Work {
    /// Operations in progress.
    pub(super) open: usize,
    /// Number that keeps all cores busy.
    pub(super) enough: usize,
}

impl Work {
    fn times(self) -> u32 {
        let times = self.open.checked_div(self.enough).unwrap_or_default();
        u32::try_from(times).unwrap_or(LONGEST).clamp(1, LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_single_waiter_is_not_delayed_and_several_wait_for_as_many_as_before_but_not_long() {
        // In the model of the schedules it is nothing.
        let (mut gather, now, most) =
            (GroupCommit::default(), Instant::now(), GROUP_WAIT.max(Duration::from_nanos(2)));
        let waits = |until: Option<Instant>| until.is_some() != GROUP_WAIT.is_zero();
        let idle = Work { open: 0, enough: 8 };
        assert_eq!(gather.until(1, idle, now), None);
        gather.written(1);
        assert_eq!(gather.until(1, idle, now), None);
        gather.written(8);
        assert!(waits(gather.until(3, idle, now)));
        assert!(waits(gather.until(7, idle, now + most / 2)));
        assert!(gather.is_complete(8, idle));
        assert_eq!(gather.until(8, idle, now), None);
        assert_eq!(gather.until(3, idle, now + most), None, "the wait began with the first look");
        gather.written(3);
        assert!(waits(gather.until(2, idle, now)));
        gather.written(1_000);
        assert!(waits(gather.until(ENOUGH_RECORDS - 1, idle, now)));
        assert_eq!(gather.until(ENOUGH_RECORDS, idle, now), None);
    }

    #[test]
    fn while_all_cores_are_busy_the_batch_waits_longer_and_for_more() {
        let (mut gather, now) = (GroupCommit::default(), Instant::now());
        let waits = |until: Option<Instant>| until.is_some() != GROUP_WAIT.is_zero();
        gather.written(4);
        let busy = Work { open: 32, enough: 8 };
        assert!(waits(gather.until(4, busy, now)));
        assert!(waits(gather.until(15, busy, now + GROUP_WAIT * 3)));
        assert_eq!(gather.until(15, busy, now + GROUP_WAIT * 4), None);
        assert!(gather.is_complete(16, busy));
        let flooded = Work { open: 1_000_000, enough: 1 };
        assert!(waits(gather.until(ENOUGH_RECORDS - 1, flooded, now + GROUP_WAIT * 7)));
        assert_eq!(gather.until(ENOUGH_RECORDS - 1, flooded, now + GROUP_WAIT * LONGEST), None);
        assert!(gather.is_complete(ENOUGH_RECORDS, flooded));
        // Just enough to do is no reason to wait.
        assert!(gather.is_complete(4, Work { open: 15, enough: 8 }));
    }
}
