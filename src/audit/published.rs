//! What the writer tells the rest of the program: the durable head, completed segments, whether it can write.
//!
//! Not for: the records that wait (`queue`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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

/// Shared between the writer, the publisher and the handles.
pub(crate) struct Published {
    writable: AtomicBool,
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
        Self { writable: AtomicBool::new(true), state: Mutex::new(state), news: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Acquire)
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
