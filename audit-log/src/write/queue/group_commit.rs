//! How long the writer waits for company when several wait already: one sync for many costs what one for two does.
//!
//! As databases do it (PostgreSQL's `commit_delay` and `commit_siblings`). Who is alone waits for nobody.

use std::time::Instant;

use crate::write::queue::sync::GROUP_WAIT;

/// So many are company enough, however many come: a sync for them costs each of them little, and the rest meets while
/// it runs.
const COMPANY: usize = 64;

/// The longest wait, in [`GROUP_WAIT`].
const LONGEST: u32 = 8;

#[derive(Default)]
pub(super) struct GroupCommit {
    /// How many the last batch held that somebody waited for: so many may come again. No more than [`COMPANY`].
    expected: usize,
    /// Since when the next batch waits for company.
    since: Option<Instant>,
}

impl GroupCommit {
    /// Until when to wait, with so many waiting, and so many times what keeps the machine busy at work; `None`: go.
    pub(super) fn until(&mut self, waiting: usize, work: Work, now: Instant) -> Option<Instant> {
        if self.expected < 2 || self.is_complete(waiting, work) {
            return None;
        }
        let due = *self.since.get_or_insert(now) + GROUP_WAIT * work.times();
        (now < due).then_some(due)
    }

    /// Whether the writer is to be woken at this number of waiting ones.
    pub(super) fn is_complete(&self, waiting: usize, work: Work) -> bool {
        // Those at work will ask again; half of them is a batch, and the other half keeps the machine busy meanwhile.
        let come = if work.times() > 1 { (work.open / 2).min(COMPANY) } else { 0 };
        waiting >= self.expected.max(come)
    }

    /// A batch goes.
    pub(super) fn gone(&mut self, waited: usize) {
        *self = Self { expected: waited.min(COMPANY), since: None };
    }
}

/// What the machine has to do: while there is enough of it, waiting for company keeps nobody from working.
#[derive(Clone, Copy)]
pub(super) struct Work {
    /// Operations that may go on and have not ended.
    pub(super) open: usize,
    /// How many keep all cores busy.
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
    fn who_is_alone_waits_for_nobody_and_a_crowd_waits_for_its_like_but_not_long() {
        // In the model of the schedules it is nothing.
        let (mut gather, now, most) =
            (GroupCommit::default(), Instant::now(), GROUP_WAIT.max(Duration::from_nanos(2)));
        let waits = |until: Option<Instant>| until.is_some() != GROUP_WAIT.is_zero();
        let idle = Work { open: 0, enough: 8 };
        assert_eq!(gather.until(1, idle, now), None);
        gather.gone(1);
        assert_eq!(gather.until(1, idle, now), None);
        gather.gone(8);
        assert!(waits(gather.until(3, idle, now)));
        assert!(waits(gather.until(7, idle, now + most / 2)));
        assert!(gather.is_complete(8, idle));
        assert_eq!(gather.until(8, idle, now), None);
        assert_eq!(gather.until(3, idle, now + most), None, "the wait began with the first look");
        gather.gone(3);
        assert!(waits(gather.until(2, idle, now)));
        gather.gone(1_000);
        assert!(waits(gather.until(COMPANY - 1, idle, now)));
        assert_eq!(gather.until(COMPANY, idle, now), None);
    }

    #[test]
    fn while_there_is_work_enough_the_batch_waits_longer_and_for_more() {
        let (mut gather, now) = (GroupCommit::default(), Instant::now());
        let waits = |until: Option<Instant>| until.is_some() != GROUP_WAIT.is_zero();
        gather.gone(4);
        let busy = Work { open: 32, enough: 8 };
        assert!(waits(gather.until(4, busy, now)));
        assert!(waits(gather.until(15, busy, now + GROUP_WAIT * 3)));
        assert_eq!(gather.until(15, busy, now + GROUP_WAIT * 4), None);
        assert!(gather.is_complete(16, busy));
        let flooded = Work { open: 1_000_000, enough: 1 };
        assert!(waits(gather.until(COMPANY - 1, flooded, now + GROUP_WAIT * 7)));
        assert_eq!(gather.until(COMPANY - 1, flooded, now + GROUP_WAIT * LONGEST), None);
        assert!(gather.is_complete(COMPANY, flooded));
        // Just enough to do is no reason to wait.
        assert!(gather.is_complete(4, Work { open: 15, enough: 8 }));
    }
}
