//! Admission control: a concurrency limit with a bounded FIFO wait queue.
//!
//! More requests at work than the cores can serve make every response later and none earlier. A short queue absorbs
//! bursts and fills the audit log's batches; its length and the time in it are bounded, so that overload ends in a
//! refusal and not in memory. A refused request has used no key. Under overload refusals are most of the work, so
//! they leave no audit record.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::service::{ErrorCode, ServiceError};

/// Searches of the audit log at a time: they take threads from the requests that write to it.
const MAX_SEARCHES: usize = 2;

/// Changes of keys that hold permits at a time: one at work, and one that is ready when it ends.
const MAX_KEY_CHANGES: usize = 2;

/// The settings of admission control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionSettings {
    /// Requests that are served at the same time.
    pub max_concurrent: usize,
    /// Requests that wait for one of those; a further one is refused at once.
    pub max_queued: usize,
    /// How long a request waits before it is refused.
    pub queue_timeout: Duration,
}

/// The concurrency limit of all client listeners; it can be resized while requests are served.
#[derive(Debug)]
pub(crate) struct AdmissionControl {
    capacity: ArcSwap<Capacity>,
    /// Changes of keys exclude each other: those that wait for another change hold no permit meanwhile.
    key_changes: Arc<Semaphore>,
    searches: Arc<Semaphore>,
}

#[derive(Debug)]
struct Capacity {
    settings: AdmissionSettings,
    /// A tokio semaphore is fair: permits are given in the order in which they were asked for.
    permits: Arc<Semaphore>,
    queued: AtomicUsize,
}

/// The right to be served; released when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    _request: OwnedSemaphorePermit,
    _key_change: Option<OwnedSemaphorePermit>,
}

impl AdmissionControl {
    pub(crate) fn new(settings: AdmissionSettings) -> Self {
        Self {
            capacity: ArcSwap::from_pointee(Capacity::new(settings)),
            key_changes: Arc::new(Semaphore::new(MAX_KEY_CHANGES)),
            searches: Arc::new(Semaphore::new(MAX_SEARCHES)),
        }
    }

    /// Applies other settings; permits and places in the queue that were given stay valid.
    pub(crate) fn resize(&self, settings: AdmissionSettings) {
        if self.capacity.load().settings != settings {
            self.capacity.store(Arc::new(Capacity::new(settings)));
        }
    }

    /// Refuses while the queue is full: costs nothing, so it comes before the request is read.
    pub(crate) fn check_capacity(&self) -> Result<(), ServiceError> {
        let capacity = self.capacity.load();
        if capacity.permits.available_permits() == 0 && capacity.is_queue_full() {
            return Err(capacity.overloaded());
        }
        Ok(())
    }

    /// A permit for a request.
    pub(crate) async fn acquire(&self) -> Result<Permit, ServiceError> {
        let capacity = self.capacity.load_full();
        let request = capacity.acquire(&capacity.permits, capacity.give_up_at()).await?;
        Ok(Permit { _request: request, _key_change: None })
    }

    /// A permit for a change of keys, once it is among the next two of those.
    pub(crate) async fn acquire_for_key_change(&self) -> Result<Permit, ServiceError> {
        let capacity = self.capacity.load_full();
        let give_up_at = capacity.give_up_at();
        let key_change = capacity.acquire(&self.key_changes, give_up_at).await?;
        let request = capacity.acquire(&capacity.permits, give_up_at).await?;
        Ok(Permit { _request: request, _key_change: Some(key_change) })
    }

    /// The right to search the audit log, which takes no permit from other requests.
    pub(crate) async fn acquire_for_search(&self) -> Result<OwnedSemaphorePermit, ServiceError> {
        let capacity = self.capacity.load_full();
        capacity.acquire(&self.searches, capacity.give_up_at()).await
    }
}

impl Capacity {
    fn new(settings: AdmissionSettings) -> Self {
        let permits = Arc::new(Semaphore::new(settings.max_concurrent));
        Self { settings, permits, queued: AtomicUsize::new(0) }
    }

    fn give_up_at(&self) -> Instant {
        Instant::now() + self.settings.queue_timeout
    }

    fn is_queue_full(&self) -> bool {
        self.queued.load(Ordering::Relaxed) >= self.settings.max_queued
    }

    async fn acquire(
        &self,
        permits: &Arc<Semaphore>,
        give_up_at: Instant,
    ) -> Result<OwnedSemaphorePermit, ServiceError> {
        if let Ok(permit) = Arc::clone(permits).try_acquire_owned() {
            return Ok(permit);
        }
        let _slot = QueueSlot::take(self).ok_or_else(|| self.overloaded())?;
        match timeout_at(give_up_at, Arc::clone(permits).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(self.overloaded()),
        }
    }

    fn overloaded(&self) -> ServiceError {
        let message = "the service is overloaded; nothing was signed";
        ServiceError::new(ErrorCode::Overloaded, message)
            .retry_after(self.settings.queue_timeout.max(Duration::from_millis(1)))
    }
}

/// A place in the queue; given back when dropped.
struct QueueSlot<'a>(&'a AtomicUsize);

impl<'a> QueueSlot<'a> {
    fn take(capacity: &'a Capacity) -> Option<Self> {
        let max = capacity.settings.max_queued;
        let one_more = |queued| (queued < max).then_some(queued + 1);
        capacity.queued.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Self(&capacity.queued))
    }
}

impl Drop for QueueSlot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
