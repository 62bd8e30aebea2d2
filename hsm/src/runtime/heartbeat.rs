//! Heartbeat of one thread: whether it is inside a call, and since when. A leaf.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Whether one thread is inside a call, and since when.
pub(crate) struct Heartbeat {
    started: Instant,
    /// A thread inside one operation for longer is stuck, until the call returns.
    limit: Duration,
    /// Milliseconds after `started` at which its operation began, plus one; 0 while it waits.
    busy_since: AtomicU64,
    abandoned: AtomicBool,
}

impl Heartbeat {
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            started: Instant::now(),
            limit,
            busy_since: AtomicU64::new(0),
            abandoned: AtomicBool::new(false),
        }
    }

    pub(crate) fn begin(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.busy_since.store(now + 1, Ordering::Release);
    }

    /// Whether the thread may continue; not if a spare has replaced it.
    pub(crate) fn end(&self) -> bool {
        self.busy_since.store(0, Ordering::Release);
        !self.is_abandoned()
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    pub(crate) fn is_stuck(&self) -> bool {
        match self.busy_since.load(Ordering::Acquire) {
            0 => false,
            since => self.started.elapsed() > Duration::from_millis(since - 1) + self.limit,
        }
    }

    /// When the call began that has lasted for too long, if one has.
    pub(crate) fn stuck_since(&self) -> Option<Instant> {
        match self.busy_since.load(Ordering::Acquire) {
            0 => None,
            since => Some(self.started + Duration::from_millis(since - 1)).filter(|_| self.is_stuck()),
        }
    }

    /// A spare has replaced the thread.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
    }
}
