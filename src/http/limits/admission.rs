//! Admission control: a concurrency limit with a bounded, fair wait queue for each lane of operations.
//!
//! More requests at work than the cores can serve make every response later and none earlier. A short queue absorbs
//! bursts and fills the audit log's batches; its length and the time in it are bounded, so that overload ends in a
//! refusal and not in memory. A refused request has used no key. Under overload refusals are most of the work, so
//! they leave no audit record. Unauthenticated clients have lanes of their own: whatever they ask for, keys are used.

mod queue;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use self::queue::{Client, Limit};
use super::take_away::{TakeAwayPlace, TakeAwayPlaces};
use crate::auth::Caller;
use crate::service::operation::Lane;
use crate::service::{Context, ErrorCode, Peer, ServiceError};

/// Searches and proofs of the audit log at a time: they take threads from the requests that write to it.
const MAX_SEARCHES: usize = 2;

/// Changes of keys that hold permits at a time: one at work, and one that is ready when it ends.
const MAX_KEY_CHANGES: usize = 2;

/// Requests of a lane that wait, for each that it serves, in the lanes that use no key.
const QUEUED_PER_PERMIT: usize = 16;

/// Refusals end 200 ms after an overload: a longer wait of the client would only be a loss to it.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(1);

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

/// The right to be served; released when dropped.
#[derive(Debug)]
pub(crate) enum Permit {
    /// Of a lane.
    Lane { _request: queue::Permit, _key_change: Option<queue::Permit> },
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
    pub(crate) async fn admit(&self, context: &Context) -> Result<(), ServiceError> {
        if self.lane != Lane::Exempt {
            let acquire = || self.admission.acquire(self.lane, || client(context));
            let acquired = self.permit.get_or_try_init(acquire).await;
            acquired.map_err(ServiceError::unrecorded)?;
        }
        Ok(())
    }

    /// The same, once the caller is known: what only takes away has a place at once.
    pub(crate) async fn admit_caller(&self, context: &Context) -> Result<(), ServiceError> {
        if self.lane == Lane::TakeAway
            && let Some(place) =
                self.admission.0.load().take_away.take(context.caller().and_then(Caller::eoa))
        {
            // Only a second body would find it set, and calls have one.
            let _ = self.permit.set(Permit::TakeAway { _place: place });
            return Ok(());
        }
        self.admit(context).await
    }

    /// Whether the request may be served.
    pub(crate) fn is_admitted(&self) -> bool {
        self.lane == Lane::Exempt || self.permit.initialized()
    }
}

/// Whose turn of a queue a request takes.
fn client(context: &Context) -> Client {
    let named = context.caller().and_then(|caller| {
        let token = caller.token_id().cloned().map(Client::Token);
        token.or_else(|| caller.eoa().map(Client::Operator))
    });
    named.unwrap_or_else(|| match context.peer() {
        Peer::Local(_) => Client::Local,
        Peer::Tcp(address) => Client::Network(address.ip().into()),
    })
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
            Some(limit) if limit.is_full() => Err(lanes.overloaded()),
            Some(_) | None => Ok(()),
        }
    }

    /// A permit for a request of this lane.
    async fn acquire(&self, lane: Lane, client: impl Fn() -> Client) -> Result<Permit, ServiceError> {
        let lanes = self.0.load_full();
        let give_up_at = Instant::now() + lanes.settings.queue_timeout;
        let overloaded = || lanes.overloaded();
        let key_change = if lane == Lane::Change {
            Some(lanes.key_changes.acquire(&client, give_up_at).await.ok_or_else(overloaded)?)
        } else {
            None
        };
        let limit = lanes.limit(lane).ok_or_else(|| ServiceError::internal("a lane without a limit"))?;
        let request = limit.acquire(client, give_up_at).await.ok_or_else(overloaded)?;
        Ok(Permit::Lane { _request: request, _key_change: key_change })
    }
}

impl Lanes {
    fn new(settings: AdmissionSettings) -> Self {
        let AdmissionSettings { max_concurrent, max_queued, queue_timeout } = settings;
        let side =
            |permits: usize| Limit::new(permits, max_queued.min(permits * QUEUED_PER_PERMIT), queue_timeout);
        let quarter = max_concurrent.div_ceil(4);
        Self {
            settings,
            using: Limit::new(max_concurrent, max_queued, queue_timeout),
            key_changes: Limit::new(MAX_KEY_CHANGES, max_queued, queue_timeout),
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
            .retry_after(self.settings.queue_timeout.clamp(Duration::from_millis(1), MAX_RETRY_AFTER))
    }
}

#[cfg(test)]
mod tests;
