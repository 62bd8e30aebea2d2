//! Concurrency limit with a wait queue: flow queuing with controlled delay, after RFC 8290 (FQ-CoDel). Not for: which
//! requests share a limit.
//!
//! Each client has a queue of its own, and they take turns, so that a client with many requests delays itself. A queue is
//! first in, first out. It is overloaded once the shortest delay of an interval was nearly the time limit: then nearly
//! every request waits for its refusal. Until it is short again, its newest request is served first, and those that have
//! waited longer than [`MAX_DELAY`] are refused. Refusals do not count as delays, so they never prolong this.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::auth::AccessTokenId;
use crate::http::limits::connection_limit::ClientNetwork;
use crate::key::Eoa;

/// The time in which one short delay shows that a queue is not overloaded: the interval of RFC 8289, section 4.2.
const INTERVAL: Duration = Duration::from_millis(100);

/// The longest delay in the queue of a client while it is overloaded.
const MAX_DELAY: Duration = Duration::from_millis(100);

/// Whose turn it is: the access token, else the operator who signed the request, else the network of the
/// client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    Token(AccessTokenId),
    Operator(Eoa),
    Network(ClientNetwork),
    Local,
}

/// A limit; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Limit(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    max_queued: usize,
    /// From this delay on a queue is overloaded.
    overload: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Permits that no request holds; above zero only while no request waits.
    free: usize,
    queued: usize,
    next: u64,
    /// Clients with waiting requests, in the order of their turns.
    turns: VecDeque<Client>,
    flows: HashMap<Client, Flow>,
}

/// The waiting requests of one client, oldest first; never empty while in the map.
#[derive(Debug)]
struct Flow {
    waiting: VecDeque<Waiting>,
    overloaded: bool,
    interval_end: Instant,
    shortest: Duration,
}

#[derive(Debug)]
struct Waiting {
    /// Ascending in a queue.
    number: u64,
    since: Instant,
    grant: oneshot::Sender<Permit>,
}

/// What becomes of a request at first.
enum Arrival {
    Served,
    Queued { number: u64, granted: oneshot::Receiver<Permit> },
    Refused,
}

/// The right to be served; given to the next request when dropped.
#[derive(Debug)]
pub(crate) struct Permit(Option<Arc<Shared>>);

/// A place in the queue; given up when dropped.
struct Place<'a> {
    shared: &'a Shared,
    client: Client,
    number: u64,
}

impl Limit {
    pub(super) fn new(permits: usize, max_queued: usize, queue_timeout: Duration) -> Self {
        let (turns, flows) = (VecDeque::new(), HashMap::new());
        Self(Arc::new(Shared {
            max_queued,
            overload: queue_timeout.mul_f64(0.95),
            state: Mutex::new(State { free: permits, queued: 0, next: 0, turns, flows }),
        }))
    }

    /// Whether a request of a client who has none waiting would be refused at once.
    pub(super) fn is_full(&self) -> bool {
        let state = self.0.lock();
        state.free == 0 && state.queued >= self.0.max_queued && state.longest() <= 1
    }

    /// Requests that wait.
    #[cfg(test)]
    pub(super) fn queued(&self) -> usize {
        self.0.lock().queued
    }

    /// A permit; none where the queue is full, the time has passed, or the client's queue is overloaded. Whose turn it is
    /// is asked only where it has to wait.
    pub(super) async fn acquire(
        &self,
        client: impl FnOnce() -> Client,
        give_up_at: Instant,
    ) -> Option<Permit> {
        if self.0.lock().take_free() {
            return Some(Permit(Some(Arc::clone(&self.0))));
        }
        let client = client();
        let arrived = self.0.lock().arrive(&client, self.0.max_queued, Instant::now());
        let (number, granted) = match arrived {
            Arrival::Served => return Some(Permit(Some(Arc::clone(&self.0)))),
            Arrival::Queued { number, granted } => (number, granted),
            Arrival::Refused => return None,
        };
        let _place = Place { shared: &self.0, client, number };
        timeout_at(give_up_at, granted).await.ok()?.ok()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a permit to the next request.
    fn release(self: Arc<Self>) {
        let mut permit = Permit(Some(self));
        while let Some(shared) = permit.0.clone() {
            let next = shared.lock().grant(shared.overload, Instant::now());
            let Some(next) = next else {
                permit.0 = None;
                return;
            };
            match next.grant.send(permit) {
                Ok(()) => return,
                // It gave up after it was taken from the queue.
                Err(returned) => permit = returned,
            }
        }
    }
}

impl State {
    fn take_free(&mut self) -> bool {
        let is_free = self.free > 0;
        self.free -= usize::from(is_free);
        is_free
    }

    fn arrive(&mut self, client: &Client, max_queued: usize, now: Instant) -> Arrival {
        if self.take_free() {
            return Arrival::Served;
        }
        if self.queued >= max_queued && !self.drop_for(client) {
            return Arrival::Refused;
        }
        let (grant, granted) = oneshot::channel();
        let number = self.next;
        self.next += 1;
        self.queued += 1;
        let flow = self.flows.entry(client.clone()).or_insert_with(|| {
            self.turns.push_back(client.clone());
            Flow::new(now)
        });
        flow.waiting.push_back(Waiting { number, since: now, grant });
        Arrival::Queued { number, granted }
    }

    /// The next request; without one the permit is free.
    fn grant(&mut self, overload: Duration, now: Instant) -> Option<Waiting> {
        while let Some(client) = self.turns.pop_front() {
            let Some(flow) = self.flows.get_mut(&client) else { continue };
            let before = flow.waiting.len();
            let next = flow.next(now, overload);
            self.queued -= before - flow.waiting.len();
            if flow.waiting.is_empty() {
                self.flows.remove(&client);
            } else {
                self.turns.push_back(client);
            }
            if next.is_some() {
                return next;
            }
        }
        self.free += 1;
        None
    }

    fn longest(&self) -> usize {
        self.flows.values().map(|flow| flow.waiting.len()).max().unwrap_or(0)
    }

    /// Refuses the newest request of the client who has most, so that another's has a place; false where the client
    /// itself would have most.
    fn drop_for(&mut self, client: &Client) -> bool {
        let own = self.flows.get(client).map_or(0, |flow| flow.waiting.len());
        let most = self.flows.values_mut().max_by_key(|flow| flow.waiting.len());
        let Some(most) = most.filter(|most| most.waiting.len() > own + 1) else { return false };
        self.queued -= usize::from(most.waiting.pop_back().is_some());
        true
    }

    fn remove(&mut self, client: &Client, number: u64) {
        let Some(flow) = self.flows.get_mut(client) else { return };
        let found = flow.waiting.binary_search_by_key(&number, |waiting| waiting.number);
        let Some(_) = found.ok().and_then(|at| flow.waiting.remove(at)) else { return };
        self.queued -= 1;
        if flow.waiting.is_empty() {
            self.flows.remove(client);
            self.turns.retain(|turn| turn != client);
        }
    }
}

impl Flow {
    fn new(now: Instant) -> Self {
        Self {
            waiting: VecDeque::new(),
            overloaded: false,
            interval_end: now + INTERVAL,
            shortest: Duration::MAX,
        }
    }

    /// The next request of this client, after those that are refused.
    fn next(&mut self, now: Instant, overload: Duration) -> Option<Waiting> {
        let delay = |waiting: &Waiting| now.saturating_duration_since(waiting.since);
        self.observe(now, delay(self.waiting.front()?), overload);
        if !self.overloaded {
            return self.waiting.pop_front();
        }
        let late = self.waiting.partition_point(|waiting| delay(waiting) > MAX_DELAY);
        // The newest is served though it was late, too: its client has waited for all of them.
        self.waiting.drain(..late.min(self.waiting.len().saturating_sub(1)));
        self.waiting.pop_back()
    }

    fn observe(&mut self, now: Instant, delay: Duration, overload: Duration) {
        self.shortest = self.shortest.min(delay);
        if now < self.interval_end {
            return;
        }
        self.overloaded = self.shortest > if self.overloaded { MAX_DELAY / 2 } else { overload };
        self.interval_end = now + INTERVAL;
        self.shortest = Duration::MAX;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.release();
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.shared.lock().remove(&self.client, self.number);
    }
}

#[cfg(test)]
mod tests;
