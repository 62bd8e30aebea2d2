//! State that the writer shares: the durable head, completed segments, whether it can write.
//!
//! Not for: the records that wait (`queue`).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::format::head::Head;

/// After this many records a checkpoint is made without waiting for the next interval.
const NEWS_RECORDS: u64 = 4096;

/// A segment that will not change any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SealedSegment {
    pub(crate) first: u64,
    /// The head at its end.
    pub(crate) head: Head,
}

/// Zero: the writer is not writing.
const IDLE: u64 = 0;

/// Shared between the writer, the publisher and the handles.
pub(crate) struct DurableHead {
    writable: AtomicBool,
    /// Start of the present wait for the disk: milliseconds after `born`, plus one.
    busy: AtomicU64,
    born: Instant,
    state: Mutex<State>,
    news: Condvar,
}

struct State {
    head: Head,
    sealed: Vec<SealedSegment>,
    /// The size at the last wake-up of the publisher, or the size it has seen since.
    notified: u64,
    ended: bool,
}

impl DurableHead {
    pub(crate) fn new(head: Head) -> Self {
        let state = State { head, sealed: Vec::new(), notified: head.size, ended: false };
        let (writable, busy, born) = (AtomicBool::new(true), AtomicU64::new(IDLE), Instant::now());
        Self { writable, busy, born, state: Mutex::new(state), news: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the log can be written, and the disk has not been silent for longer than `patience`.
    pub(crate) fn is_writable(&self, patience: Duration) -> bool {
        let busy = self.busy.load(Ordering::Acquire);
        let silent = self.now().saturating_sub(busy);
        let stuck = busy != IDLE && u128::from(silent) > patience.as_millis();
        self.writable.load(Ordering::Acquire) && !stuck
    }

    /// The writer begins, or has ended, to wait for the disk.
    pub(crate) fn set_busy(&self, busy: bool) {
        self.busy.store(if busy { self.now() } else { IDLE }, Ordering::Release);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    pub(crate) fn set_writable(&self, writable: bool) {
        self.writable.store(writable, Ordering::Release);
    }

    pub(crate) fn head(&self) -> Head {
        self.state().head
    }

    /// A new durable head, and the segments that were completed on the way to it.
    pub(crate) fn advance(&self, head: Head, sealed: Vec<SealedSegment>) {
        let mut state = self.state();
        state.head = head;
        let rotated = !sealed.is_empty();
        state.sealed.extend(sealed);
        if rotated || head.size.saturating_sub(state.notified) >= NEWS_RECORDS {
            state.notified = head.size;
            self.news.notify_all();
        }
    }

    pub(crate) fn take_sealed(&self) -> Vec<SealedSegment> {
        std::mem::take(&mut self.state().sealed)
    }

    /// The writer has ended.
    pub(crate) fn end(&self) {
        self.set_writable(false);
        self.state().ended = true;
        self.news.notify_all();
    }

    /// Waits until there are many records after the first `seen`, until the end, or for `most`.
    /// True if the writer has ended.
    pub(crate) fn wait(&self, seen: u64, most: Duration) -> bool {
        let mut state = self.state();
        state.notified = seen;
        // They may have come while the last checkpoint was made.
        if !state.ended && state.sealed.is_empty() && state.head.size.saturating_sub(seen) < NEWS_RECORDS {
            state = self.news.wait_timeout(state, most).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::log_id::LogId;

    #[test]
    fn news_that_came_while_the_publisher_worked_is_not_waited_for_again() {
        let head = |size| Head { log: LogId([0; 16]), size, record_hash: [0; 32], root: [0; 32] };
        let published = DurableHead::new(head(10));
        published.advance(head(10 + NEWS_RECORDS), Vec::new());
        let begun = Instant::now();
        assert!(!published.wait(10, Duration::from_secs(60)));
        assert!(begun.elapsed() < Duration::from_secs(30), "it slept over the news");
        // What it has seen is no news, and the end is.
        assert!(!published.wait(10 + NEWS_RECORDS, Duration::from_millis(1)));
        published.end();
        assert!(published.wait(10 + NEWS_RECORDS, Duration::from_secs(60)));
    }
}
