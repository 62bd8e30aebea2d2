#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test should panic")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use tokio::task::{JoinHandle, yield_now};

use super::*;

const TIMEOUT: Duration = Duration::from_millis(2_500);
const PERMITS: usize = 8;
/// With 8 permits 1,000 requests per second.
const SERVICE: Duration = Duration::from_millis(8);

fn client(number: u8) -> Client {
    Client::Operator(Eoa::new([number; 20]))
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives(u8),
    Ends(u8),
    GivesUp(u64),
}

/// What became of the requests of one client.
#[derive(Debug, Default)]
struct Counts {
    served: usize,
    longest: Duration,
    /// When each refused request came.
    refused: Vec<Duration>,
}

/// Requests on a clock of its own: no task runs and no time passes.
struct Simulation {
    limit: Limit,
    start: Instant,
    now: Duration,
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    order: u64,
    waiting: HashMap<u64, (u8, Duration)>,
    counts: [Counts; 2],
    /// Clients come again when their request has ended.
    closed: bool,
    /// Between these times no request ends.
    stall: Range<Duration>,
}

impl Simulation {
    fn new(max_queued: usize) -> Self {
        let limit = Limit::new(PERMITS, max_queued, TIMEOUT);
        let (events, waiting) = (BinaryHeap::new(), HashMap::new());
        let (start, now, order, counts) = (Instant::now(), Duration::ZERO, 0, Default::default());
        Self {
            limit,
            start,
            now,
            events,
            order,
            waiting,
            counts,
            closed: false,
            stall: Duration::ZERO..Duration::ZERO,
        }
    }

    fn at(&mut self, time: Duration, event: Event) {
        self.order += 1;
        self.events.push(Reverse((time, self.order, event)));
    }

    /// Requests of one client at a constant rate per second.
    fn load(&mut self, number: u8, rate: u32, from: Duration, to: Duration) {
        let pause = Duration::from_secs(1) / rate;
        let mut time = from;
        while time < to {
            self.at(time, Event::Arrives(number));
            time += pause;
        }
    }

    fn run(&mut self, until: Duration) {
        while self.events.peek().is_some_and(|Reverse(next)| next.0 < until) {
            let Some(Reverse((time, _, event))) = self.events.pop() else { return };
            self.now = time;
            let shared = Arc::clone(&self.limit.0);
            let mut state = shared.lock();
            match event {
                Event::Arrives(number) => self.arrives(&mut state, number),
                Event::Ends(number) => {
                    if let Some(next) = state.grant(shared.overload, self.start + time) {
                        let (served, since) = self.waiting.remove(&next.number).unwrap();
                        self.served(served, time - since);
                    }
                    if self.closed {
                        self.arrives(&mut state, number);
                    }
                }
                Event::GivesUp(number) => {
                    if let Some((of, since)) = self.waiting.remove(&number) {
                        state.remove(&client(of), number);
                        self.counts[usize::from(of)].refused.push(since);
                    }
                }
            }
        }
    }

    fn arrives(&mut self, state: &mut State, number: u8) {
        match state.arrive(&client(number), self.limit.0.max_queued, self.start + self.now) {
            Arrival::Served => self.served(number, Duration::ZERO),
            Arrival::Queued { number: queued, .. } => {
                self.waiting.insert(queued, (number, self.now));
                self.at(self.now + TIMEOUT, Event::GivesUp(queued));
            }
            Arrival::Refused => self.counts[usize::from(number)].refused.push(self.now),
        }
    }

    fn served(&mut self, number: u8, waited: Duration) {
        let end = self.now + SERVICE;
        let end = if self.stall.contains(&end) { self.stall.end } else { end };
        self.at(end, Event::Ends(number));
        let counts = &mut self.counts[usize::from(number)];
        counts.served += 1;
        counts.longest = counts.longest.max(waited);
    }
}

const fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

#[test]
fn below_the_capacity_no_request_is_refused() {
    let mut simulation = Simulation::new(4_096);
    simulation.load(0, 990, Duration::ZERO, seconds(30));
    simulation.run(seconds(60));
    let [counts, _] = &simulation.counts;
    assert!(counts.refused.is_empty() && counts.served > 29_000, "{}", counts.served);
}

#[test]
fn at_twice_the_capacity_all_of_it_is_used_and_refusals_end_with_the_overload() {
    for max_queued in [4_096, 1_000_000] {
        let mut simulation = Simulation::new(max_queued);
        simulation.load(0, 2_000, Duration::ZERO, seconds(20));
        simulation.load(0, 500, seconds(20), seconds(30));
        simulation.run(seconds(60));
        let [counts, _] = &simulation.counts;
        assert!(
            counts.served >= 24_500 && counts.longest <= TIMEOUT,
            "{} {:?}",
            counts.served,
            counts.longest
        );
        let last = counts.refused.iter().max().unwrap();
        assert!(*last > seconds(19) && *last < Duration::from_millis(20_200), "{last:?}");
    }
}

#[test]
fn a_closed_loop_that_is_served_within_the_time_limit_is_not_refused() {
    let mut simulation = Simulation::new(4_096);
    simulation.closed = true;
    // Each waits 2.3 s.
    (0..2_300).for_each(|_| simulation.at(Duration::ZERO, Event::Arrives(0)));
    simulation.run(seconds(60));
    let [counts, _] = &simulation.counts;
    assert!(counts.refused.is_empty() && counts.served > 59_000, "{}", counts.served);
}

#[test]
fn a_client_with_many_requests_delays_and_refuses_itself() {
    for max_queued in [64, 4_096, 1_000_000] {
        let mut simulation = Simulation::new(max_queued);
        simulation.load(0, 5_000, Duration::ZERO, seconds(10));
        simulation.load(1, 300, Duration::ZERO, seconds(10));
        simulation.run(seconds(60));
        let [many, few] = &simulation.counts;
        assert!(many.refused.len() > 30_000, "{}", many.refused.len());
        assert!(few.refused.is_empty() && few.longest <= 5 * SERVICE, "{max_queued}: {:?}", few.longest);
    }
}

#[test]
fn after_a_stall_requests_whose_time_has_not_passed_are_served() {
    let mut simulation = Simulation::new(4_096);
    simulation.load(0, 500, Duration::ZERO, seconds(20));
    simulation.stall = seconds(5)..seconds(7);
    simulation.run(seconds(60));
    let [counts, _] = &simulation.counts;
    assert!(counts.refused.is_empty(), "{:?}", counts.refused.len());
    assert!(counts.longest >= seconds(1), "{:?}", counts.longest);
}

fn arrive(limit: &Limit, number: u8, wait: Duration) -> JoinHandle<Option<Permit>> {
    let limit = limit.clone();
    tokio::spawn(async move { limit.acquire(|| client(number), Instant::now() + wait).await })
}

#[tokio::test]
async fn a_request_gives_up_when_its_time_has_passed() {
    let limit = Limit::new(1, 10, TIMEOUT);
    let only = arrive(&limit, 0, TIMEOUT).await.unwrap().unwrap();
    assert!(arrive(&limit, 1, Duration::from_millis(5)).await.unwrap().is_none());
    let second = arrive(&limit, 2, Duration::from_secs(60));
    while limit.queued() != 1 {
        yield_now().await;
    }
    drop(only);
    assert!(second.await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_that_are_cancelled_leave_no_trace_and_no_permit_is_lost() {
    let limit = Limit::new(2, 4_096, TIMEOUT);
    for round in 0..500_u16 {
        let held = limit.acquire(|| Client::Local, Instant::now()).await;
        let waiting: Vec<_> = (0..6).map(|number| arrive(&limit, number % 3, TIMEOUT)).collect();
        for (number, task) in waiting.iter().enumerate() {
            if (usize::from(round) >> number) & 1 == 1 {
                task.abort();
            }
        }
        drop(held);
        for task in waiting {
            // Its permit is dropped at once.
            let _ = task.await;
        }
        let state = limit.0.lock();
        assert_eq!((state.free, state.queued, state.flows.len(), state.turns.len()), (2, 0, 0, 0), "{round}");
    }
}
