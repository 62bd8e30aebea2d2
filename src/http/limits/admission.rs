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

use crate::service::{Code, Failure};

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
    pub(crate) fn check_capacity(&self) -> Result<(), Failure> {
        let capacity = self.capacity.load();
        if capacity.permits.available_permits() == 0 && capacity.is_queue_full() {
            return Err(capacity.overloaded());
        }
        Ok(())
    }

    /// A permit for a request.
    pub(crate) async fn acquire(&self) -> Result<Permit, Failure> {
        let capacity = self.capacity.load_full();
        let request = capacity.acquire(&capacity.permits, capacity.give_up_at()).await?;
        Ok(Permit { _request: request, _key_change: None })
    }

    /// A permit for a change of keys, once it is among the next two of those.
    pub(crate) async fn acquire_for_key_change(&self) -> Result<Permit, Failure> {
        let capacity = self.capacity.load_full();
        let give_up_at = capacity.give_up_at();
        let key_change = capacity.acquire(&self.key_changes, give_up_at).await?;
        let request = capacity.acquire(&capacity.permits, give_up_at).await?;
        Ok(Permit { _request: request, _key_change: Some(key_change) })
    }

    /// The right to search the audit log, which takes no permit from other requests.
    pub(crate) async fn acquire_for_search(&self) -> Result<OwnedSemaphorePermit, Failure> {
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
    ) -> Result<OwnedSemaphorePermit, Failure> {
        if let Ok(permit) = Arc::clone(permits).try_acquire_owned() {
            return Ok(permit);
        }
        let _slot = QueueSlot::take(self).ok_or_else(|| self.overloaded())?;
        match timeout_at(give_up_at, Arc::clone(permits).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(self.overloaded()),
        }
    }

    fn overloaded(&self) -> Failure {
        let message = "the service is overloaded; nothing was signed";
        Failure::new(Code::Overloaded, message)
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
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use std::sync::Mutex;

    use super::*;

    /// Longer than any test takes.
    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(5);

    fn admission(max_concurrent: usize, max_queued: usize, queue_timeout: Duration) -> AdmissionControl {
        AdmissionControl::new(AdmissionSettings { max_concurrent, max_queued, queue_timeout })
    }

    async fn until_queued(admission: &AdmissionControl, queued: usize) {
        while admission.capacity.load().queued.load(Ordering::Relaxed) != queued {
            tokio::task::yield_now().await;
        }
    }

    fn assert_overloaded<T>(result: Result<T, Failure>) {
        let failure = result.err().unwrap();
        assert_eq!(failure.code(), Code::Overloaded);
        assert!(failure.retry().is_some());
    }

    #[tokio::test]
    async fn requests_are_served_in_the_order_in_which_they_came() {
        let admission = Arc::new(admission(1, 100, LONG));
        let first = admission.acquire().await.unwrap();
        let served = Arc::new(Mutex::new(Vec::new()));
        let mut waiting = Vec::new();
        for n in 0..50 {
            let (admission, served) = (Arc::clone(&admission), Arc::clone(&served));
            waiting.push(tokio::spawn({
                let admission = Arc::clone(&admission);
                async move {
                    let _permit = admission.acquire().await.unwrap();
                    served.lock().unwrap().push(n);
                }
            }));
            until_queued(&admission, n + 1).await;
        }
        drop(first);
        for task in waiting {
            task.await.unwrap();
        }
        assert_eq!(*served.lock().unwrap(), (0..50).collect::<Vec<_>>());
        until_queued(&admission, 0).await;
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_empties_again() {
        let admission = Arc::new(admission(1, 3, LONG));
        let first = admission.acquire().await.unwrap();
        let mut waiting = Vec::new();
        for n in 0..3 {
            assert!(admission.check_capacity().is_ok());
            let admission_of_task = Arc::clone(&admission);
            waiting.push(tokio::spawn(async move { admission_of_task.acquire().await.map(drop) }));
            until_queued(&admission, n + 1).await;
        }
        assert_overloaded(admission.check_capacity());
        assert_overloaded(admission.acquire().await);
        drop(first);
        for task in waiting {
            assert!(task.await.unwrap().is_ok());
        }
        assert!(admission.check_capacity().is_ok());
        assert!(admission.acquire().await.is_ok());
    }

    #[tokio::test]
    async fn without_a_queue_only_the_permits_count() {
        let admission = admission(1, 0, LONG);
        assert!(admission.check_capacity().is_ok());
        let _first = admission.acquire().await.unwrap();
        assert_overloaded(admission.check_capacity());
        assert_overloaded(admission.acquire().await);
    }

    #[tokio::test]
    async fn waiting_ends_at_the_timeout_and_leaves_the_queue() {
        let admission = admission(1, 10, SHORT);
        let _first = admission.acquire().await.unwrap();
        assert_overloaded(admission.acquire().await);
        until_queued(&admission, 0).await;
    }

    #[tokio::test]
    async fn a_request_that_is_cancelled_leaves_the_queue() {
        let admission = Arc::new(admission(1, 1, LONG));
        let first = admission.acquire().await.unwrap();
        let waiting = tokio::spawn({
            let admission = Arc::clone(&admission);
            async move { admission.acquire().await.map(drop) }
        });
        until_queued(&admission, 1).await;
        waiting.abort();
        assert!(waiting.await.is_err());
        until_queued(&admission, 0).await;
        drop(first);
        assert!(admission.acquire().await.is_ok());
    }

    #[tokio::test]
    async fn key_changes_that_wait_for_each_other_hold_no_permits() {
        let admission = admission(4, 100, SHORT);
        let changes = [
            admission.acquire_for_key_change().await.unwrap(),
            admission.acquire_for_key_change().await.unwrap(),
        ];
        for _ in 0..4 {
            assert_overloaded(admission.acquire_for_key_change().await);
        }
        let others = [admission.acquire().await.unwrap(), admission.acquire().await.unwrap()];
        assert_overloaded(admission.acquire().await);
        drop((changes, others));
        assert!(admission.acquire_for_key_change().await.is_ok());
    }

    #[tokio::test]
    async fn few_searches_run_at_a_time_and_hold_no_permits() {
        let admission = admission(1, 100, SHORT);
        let searches =
            [admission.acquire_for_search().await.unwrap(), admission.acquire_for_search().await.unwrap()];
        assert_overloaded(admission.acquire_for_search().await);
        assert!(admission.acquire().await.is_ok() && admission.acquire_for_key_change().await.is_ok());
        drop(searches);
        assert!(admission.acquire_for_search().await.is_ok());
    }

    #[tokio::test]
    async fn the_limit_can_be_raised_and_lowered_while_requests_are_served() {
        let settings =
            |max_concurrent| AdmissionSettings { max_concurrent, max_queued: 10, queue_timeout: SHORT };
        let admission = AdmissionControl::new(settings(1));
        let first = admission.acquire().await.unwrap();
        assert_overloaded(admission.acquire().await);
        admission.resize(settings(1));
        assert_overloaded(admission.acquire().await);
        admission.resize(settings(2));
        let permits = [admission.acquire().await.unwrap(), admission.acquire().await.unwrap()];
        assert_overloaded(admission.acquire().await);
        drop((first, permits));
        admission.resize(settings(1));
        let _only = admission.acquire().await.unwrap();
        assert_overloaded(admission.acquire().await);
    }
}
