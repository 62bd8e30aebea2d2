//! Admission control: a concurrency limit with a bounded FIFO wait queue for each lane of operations.
//!
//! More requests at work than the cores can serve make every response later and none earlier. A short queue absorbs
//! bursts and fills the audit log's batches; its length and the time in it are bounded, so that overload ends in a
//! refusal and not in memory. A refused request has used no key. Under overload refusals are most of the work, so
//! they leave no audit record. Unauthenticated clients have lanes of their own: whatever they ask for, keys are used.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::take_away::{TakeAwayPlace, TakeAwayPlaces};
use crate::key::Eoa;
use crate::service::operation::Lane;
use crate::service::{ErrorCode, ServiceError};

/// Searches and proofs of the audit log at a time: they take threads from the requests that write to it.
const MAX_SEARCHES: usize = 2;

/// Changes of keys that hold permits at a time: one at work, and one that is ready when it ends.
const MAX_KEY_CHANGES: usize = 2;

/// Requests of a lane that wait, for each that it serves, in the lanes that use no key.
const QUEUED_PER_PERMIT: usize = 16;

/// The settings of admission control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionSettings {
    /// Requests that use a key and are served at the same time; logins, reads and what is open have a quarter each.
    pub max_concurrent: usize,
    /// Requests that wait for one of those; a further one is refused at once.
    pub max_queued: usize,
    /// How long a request waits before it is refused.
    pub queue_timeout: Duration,
}

/// The concurrency limits of all client listeners; they can be resized while requests are served.
#[derive(Debug)]
pub(crate) struct AdmissionControl(ArcSwap<Lanes>);

/// The limit of each lane.
#[derive(Debug)]
struct Lanes {
    settings: AdmissionSettings,
    using: Limit,
    /// Changes of keys exclude each other: those that wait for another change hold no permit meanwhile.
    key_changes: Limit,
    reads: Limit,
    searches: Limit,
    proofs: Limit,
    logins: Limit,
    open: Limit,
    take_away: TakeAwayPlaces,
}

/// A concurrency limit and its queue.
#[derive(Debug)]
struct Limit {
    /// A tokio semaphore is fair: permits are given in the order in which they were asked for.
    permits: Arc<Semaphore>,
    queued: AtomicUsize,
    max_queued: usize,
}

/// The right to be served; released when dropped.
#[derive(Debug)]
pub(crate) enum Permit {
    /// Of a lane.
    Lane { _request: OwnedSemaphorePermit, _key_change: Option<OwnedSemaphorePermit> },
    /// Of the places of one EOA.
    TakeAway { _place: TakeAwayPlace },
}

/// A request's way through admission: its lane, and its permit once it has one. The permit is held until the ticket is
/// dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    admission: Arc<AdmissionControl>,
    lane: Lane,
    permit: OnceCell<Permit>,
}

impl Ticket {
    pub(crate) fn new(admission: Arc<AdmissionControl>, lane: Lane) -> Self {
        Self { admission, lane, permit: OnceCell::new() }
    }

    /// Waits for a permit of the lane. To be asked for once nothing is waited for that the client does.
    pub(crate) async fn admit(&self) -> Result<(), ServiceError> {
        if self.lane != Lane::Exempt {
            let acquired = self.permit.get_or_try_init(|| self.admission.acquire(self.lane)).await;
            acquired.map_err(ServiceError::unrecorded)?;
        }
        Ok(())
    }

    /// The same for the caller of this EOA: what only takes away has a place at once.
    pub(crate) async fn admit_caller(&self, eoa: Option<Eoa>) -> Result<(), ServiceError> {
        if self.lane == Lane::TakeAway
            && let Some(place) = self.admission.0.load().take_away.take(eoa)
        {
            // Only a second body would find it set, and calls have one.
            let _ = self.permit.set(Permit::TakeAway { _place: place });
            return Ok(());
        }
        self.admit().await
    }

    /// Whether the request may be served.
    pub(crate) fn is_admitted(&self) -> bool {
        self.lane == Lane::Exempt || self.permit.initialized()
    }
}

impl AdmissionControl {
    pub(crate) fn new(settings: AdmissionSettings) -> Self {
        Self(ArcSwap::from_pointee(Lanes::new(settings)))
    }

    /// Applies other settings; permits and places in the queue that were given stay valid.
    pub(crate) fn resize(&self, settings: AdmissionSettings) {
        if self.0.load().settings != settings {
            self.0.store(Arc::new(Lanes::new(settings)));
        }
    }

    /// Refuses while the lane's queue is full: costs nothing, so it comes before the request is read.
    pub(crate) fn check_capacity(&self, lane: Lane) -> Result<(), ServiceError> {
        let lanes = self.0.load();
        match lanes.limit(lane) {
            Some(limit) if limit.permits.available_permits() == 0 && limit.is_queue_full() => {
                Err(lanes.overloaded())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// A permit for a request of this lane.
    async fn acquire(&self, lane: Lane) -> Result<Permit, ServiceError> {
        let lanes = self.0.load_full();
        let give_up_at = Instant::now() + lanes.settings.queue_timeout;
        let overloaded = || lanes.overloaded();
        let key_change = if lane == Lane::Change {
            Some(lanes.key_changes.acquire(give_up_at).await.ok_or_else(overloaded)?)
        } else {
            None
        };
        let limit = lanes.limit(lane).ok_or_else(|| ServiceError::internal("a lane without a limit"))?;
        let request = limit.acquire(give_up_at).await.ok_or_else(overloaded)?;
        Ok(Permit::Lane { _request: request, _key_change: key_change })
    }
}

impl Lanes {
    fn new(settings: AdmissionSettings) -> Self {
        let AdmissionSettings { max_concurrent, max_queued, .. } = settings;
        let side = |permits: usize| Limit::new(permits, max_queued.min(permits * QUEUED_PER_PERMIT));
        let quarter = max_concurrent.div_ceil(4);
        Self {
            settings,
            using: Limit::new(max_concurrent, max_queued),
            key_changes: Limit::new(MAX_KEY_CHANGES, max_queued),
            reads: side(quarter),
            searches: side(MAX_SEARCHES),
            proofs: side(MAX_SEARCHES),
            logins: side(quarter),
            open: side(quarter),
            take_away: TakeAwayPlaces::default(),
        }
    }

    /// The limit of a lane; none where there is none.
    const fn limit(&self, lane: Lane) -> Option<&Limit> {
        match lane {
            Lane::Exempt => None,
            // Beyond the places of its EOA.
            Lane::TakeAway | Lane::Use | Lane::Change => Some(&self.using),
            Lane::Read => Some(&self.reads),
            Lane::Search => Some(&self.searches),
            Lane::Proof => Some(&self.proofs),
            Lane::Login => Some(&self.logins),
            Lane::Open => Some(&self.open),
        }
    }

    fn overloaded(&self) -> ServiceError {
        let message = "the service is overloaded; nothing was signed";
        ServiceError::new(ErrorCode::Overloaded, message)
            .retry_after(self.settings.queue_timeout.max(Duration::from_millis(1)))
    }
}

impl Limit {
    fn new(permits: usize, max_queued: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(permits)), queued: AtomicUsize::new(0), max_queued }
    }

    fn is_queue_full(&self) -> bool {
        self.queued.load(Ordering::Relaxed) >= self.max_queued
    }

    /// A permit; none where the queue is full or the time has passed.
    async fn acquire(&self, give_up_at: Instant) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Some(permit);
        }
        let _slot = QueueSlot::take(self)?;
        timeout_at(give_up_at, Arc::clone(&self.permits).acquire_owned()).await.ok()?.ok()
    }
}

/// A place in the queue; given back when dropped.
struct QueueSlot<'a>(&'a AtomicUsize);

impl<'a> QueueSlot<'a> {
    fn take(limit: &'a Limit) -> Option<Self> {
        let one_more = |queued| (queued < limit.max_queued).then_some(queued + 1);
        limit.queued.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Self(&limit.queued))
    }
}

impl Drop for QueueSlot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
