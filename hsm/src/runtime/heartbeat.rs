//! Where one thread says what it is at. A leaf.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Where one thread says what it is at.
pub(crate) struct Heartbeat {
    started: Instant,
    /// In one operation for longer, it is taken for lost, until it comes back.
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

    /// Whether the thread may go on; not if a spare has taken its place.
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

    /// A spare has taken its place.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
    }
}
