//! What the writer tells the rest of the program: the durable head, completed segments, whether it can write.
//!
//! Not for: the records that wait (`queue`).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::settings::Head;

/// After so many records a checkpoint is made without waiting for the next second.
const NEWS_RECORDS: u64 = 4096;

/// A segment that will not change any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealed {
    pub(crate) first: u64,
    /// The head at its end.
    pub(crate) head: Head,
}

/// Zero: the writer is not writing.
const IDLE: u64 = 0;

/// Shared between the writer, the publisher and the handles.
pub(crate) struct Published {
    writable: AtomicBool,
    /// Since when the writer waits for the disk: milliseconds after `born`, plus one.
    busy: AtomicU64,
    born: Instant,
    state: Mutex<State>,
    news: Condvar,
}

struct State {
    head: Head,
    sealed: Vec<Sealed>,
    /// The size at the last waking of the publisher.
    told: u64,
    ended: bool,
}

impl Published {
    pub(crate) fn new(head: Head) -> Self {
        let state = State { head, sealed: Vec::new(), told: head.size, ended: false };
        let (writable, busy, born) = (AtomicBool::new(true), AtomicU64::new(IDLE), Instant::now());
        Self { writable, busy, born, state: Mutex::new(state), news: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the log can be written, and the disk has not been silent for longer than that.
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
    pub(crate) fn advance(&self, head: Head, sealed: Vec<Sealed>) {
        let mut state = self.state();
        state.head = head;
        let rotated = !sealed.is_empty();
        state.sealed.extend(sealed);
        if rotated || head.size - state.told >= NEWS_RECORDS {
            state.told = head.size;
            self.news.notify_all();
        }
    }

    pub(crate) fn take_sealed(&self) -> Vec<Sealed> {
        std::mem::take(&mut self.state().sealed)
    }

    /// The writer has ended.
    pub(crate) fn end(&self) {
        self.set_writable(false);
        self.state().ended = true;
        self.news.notify_all();
    }

    /// Waits for much news, the end, or that long; whether the writer has ended.
    pub(crate) fn wait(&self, most: Duration) -> bool {
        let mut state = self.state();
        if !state.ended && state.sealed.is_empty() {
            state = self.news.wait_timeout(state, most).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.told = state.head.size;
        state.ended
    }
}
