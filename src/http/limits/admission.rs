//! How many requests are worked on at a time: so many, a few wait a moment (`room`), the rest is told to come back.
//!
//! Beyond what the cores can do more work at a time makes no answer earlier, only every answer later. Whoever is
//! refused here has used no key; under overload that is most of the work, so it leaves no record of its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::limits::current::Current;
use crate::http::limits::room::Room;
use crate::service::{Code, Failure};

/// The gate of all listeners; how wide it is can change.
#[derive(Debug)]
pub(crate) struct Gate {
    width: Current<Width>,
    /// Changes of keys are done one after the other: whoever waits for that holds no place meanwhile.
    changes: Arc<Semaphore>,
    /// Reads that search the log take threads from those who write: few at a time.
    searches: Arc<Semaphore>,
}

/// Searches of the log at a time.
const SEARCHES: usize = 2;

/// Changes of keys that may hold places at a time: one at work, and one that is ready when it ends.
const CHANGES: usize = 2;

#[derive(Debug)]
struct Width {
    places: Arc<Semaphore>,
    room: Room,
    wait: Duration,
    /// How many may be refused in a second before the next are sent away for longer.
    bearable: u32,
    refused: Mutex<Refused>,
}

/// Refusals in this second and in the one before it.
#[derive(Debug)]
struct Refused {
    since: Instant,
    now: u32,
    before: u32,
    /// All of them, modulo 2³².
    ever: u32,
}

/// The longest that anybody is sent away for.
const LONGEST: Duration = Duration::from_secs(5);

/// A place at work; free again when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _held: OwnedSemaphorePermit,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Gate {
    /// `places` requests at a time; others may wait, each so long.
    pub(crate) fn new(places: usize, wait: Duration) -> Self {
        Self {
            width: Current::new(Width::new(places, wait)),
            changes: Arc::new(Semaphore::new(CHANGES)),
            searches: Arc::new(Semaphore::new(SEARCHES)),
        }
    }

    /// From now on so many; who has a place keeps it.
    pub(crate) fn set(&self, places: usize, wait: Duration) {
        self.width.set(Width::new(places, wait));
    }

    /// Refuses at once while nobody else could even wait: a look that costs nothing, before a request is read.
    pub(crate) fn look(&self) -> Result<(), Failure> {
        let width = self.width.now();
        let full = width.places.available_permits() == 0 && width.room.is_full(Instant::now());
        if full { Err(width.refusal()) } else { Ok(()) }
    }

    /// A place.
    pub(crate) async fn enter(&self) -> Result<Place, Failure> {
        Ok(Place { _held: self.width.now().enter().await?, _turn: None })
    }

    /// A place for a change of keys, once it is among the next.
    pub(crate) async fn enter_to_change(&self) -> Result<Place, Failure> {
        let width = self.width.now();
        let turn = width.turn(&self.changes).await?;
        Ok(Place { _held: width.enter().await?, _turn: Some(turn) })
    }

    /// The turn to search the log, which takes no place at work.
    pub(crate) async fn search(&self) -> Result<OwnedSemaphorePermit, Failure> {
        self.width.now().turn(&self.searches).await
    }
}

impl Width {
    fn new(places: usize, wait: Duration) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            room: Room::new(places),
            wait,
            bearable: u32::try_from(places).unwrap_or(u32::MAX).saturating_mul(4),
            refused: Mutex::new(Refused { since: Instant::now(), now: 0, before: 0, ever: 0 }),
        }
    }

    async fn enter(&self) -> Result<OwnedSemaphorePermit, Failure> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place);
        }
        let Some(_seat) = self.room.enter(Instant::now()) else { return Err(self.refusal()) };
        self.turn(&self.places).await
    }

    /// One of few turns, if it comes soon.
    async fn turn(&self, turns: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Failure> {
        match tokio::time::timeout(self.wait, Arc::clone(turns).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(self.refusal()),
        }
    }

    /// A refusal costs nearly what a signature costs: the more there are, the longer all are asked to stay away.
    fn refusal(&self) -> Failure {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let age = refused.since.elapsed();
        if age >= Duration::from_secs(1) {
            let before = if age < Duration::from_secs(2) { refused.now } else { 0 };
            *refused = Refused { since: Instant::now(), now: 0, before, ..*refused };
        }
        refused.now = refused.now.saturating_add(1);
        refused.ever = refused.ever.wrapping_add(1);
        let (times, ever) = (1 + refused.now.max(refused.before) / self.bearable, refused.ever);
        drop(refused);
        let away = self.wait.max(Duration::from_millis(1)).saturating_mul(times).saturating_mul(5) / 4;
        let sentence = "more requests than can be worked on; nothing was signed";
        Failure::new(Code::Overloaded, sentence).retry_after(spread(away.min(LONGEST.max(self.wait)), ever))
    }
}

/// Three to five fifths of a time, evenly, by the golden ratio: who is sent away together must not come back together.
fn spread(away: Duration, ever: u32) -> Duration {
    const GOLDEN: u32 = 0x9e37_79b9;
    let share = f64::from(ever.wrapping_mul(GOLDEN)) / f64::from(u32::MAX);
    away / 5 * 3 + (away / 5 * 2).mul_f64(share)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test should panic")]

    use super::*;

    #[tokio::test]
    async fn one_works_others_wait_and_who_finds_no_room_is_sent_away_at_once() {
        let gate = Arc::new(Gate::new(1, Duration::from_secs(60)));
        let working = gate.enter().await.unwrap();
        let mut waiting = Vec::new();
        while !gate.width.now().room.is_full(Instant::now()) {
            let gate = Arc::clone(&gate);
            waiting.push(tokio::spawn(async move { gate.enter().await.map(drop) }));
            tokio::task::yield_now().await;
        }
        assert_eq!(gate.look().unwrap_err().code(), Code::Overloaded);
        assert_eq!(gate.enter().await.unwrap_err().code(), Code::Overloaded);
        drop(working);
        for waiting in waiting {
            assert!(waiting.await.unwrap().is_ok());
        }
        assert!(gate.look().is_ok());
    }

    #[tokio::test]
    async fn a_crowd_is_sent_away_for_longer_and_not_for_ever() {
        let gate = Gate::new(1, Duration::from_millis(100));
        let _working = gate.enter().await.unwrap();
        let waits: Vec<_> = (0..1_000).map(|_| gate.width.now().refusal().retry().unwrap()).collect();
        let first = Duration::from_millis(75)..=Duration::from_millis(125);
        assert!(first.contains(&waits[0]), "{waits:?}");
        assert!(waits[20] > waits[0]);
        // A crowd comes back as a stream: in each tenth of the time that it is spread over there is a tenth of it.
        let (last, tenth) = (&waits[900..], LONGEST / 25);
        for n in 0..10 {
            let slot = LONGEST * 3 / 5 + tenth * n;
            let count = last.iter().filter(|wait| (slot..=slot + tenth).contains(wait)).count();
            assert!((8..=12).contains(&count), "{count} of 100 in tenth {n}: {last:?}");
        }
        gate.width.now().refused.lock().unwrap().since -= Duration::from_secs(2);
        assert!(first.contains(&gate.width.now().refusal().retry().unwrap()), "the crowd is gone");
    }

    #[tokio::test]
    async fn changes_that_wait_for_each_other_hold_no_places() {
        let gate = Gate::new(4, Duration::from_millis(10));
        let changes = [gate.enter_to_change().await.unwrap(), gate.enter_to_change().await.unwrap()];
        for _ in 0..4 {
            let failure = gate.enter_to_change().await.unwrap_err();
            assert_eq!((failure.code(), failure.retry().is_some()), (Code::Overloaded, true));
        }
        let others = [gate.enter().await.unwrap(), gate.enter().await.unwrap()];
        assert!(gate.enter().await.is_err());
        drop((changes, others));
        assert!(gate.enter_to_change().await.is_ok());
    }

    #[tokio::test]
    async fn few_search_the_log_at_a_time_and_hold_no_places() {
        let gate = Gate::new(1, Duration::from_millis(10));
        let searches = [gate.search().await.unwrap(), gate.search().await.unwrap()];
        let failure = gate.search().await.unwrap_err();
        assert_eq!((failure.code(), failure.retry().is_some()), (Code::Overloaded, true));
        assert!(gate.enter().await.is_ok() && gate.enter_to_change().await.is_ok());
        drop(searches);
        assert!(gate.search().await.is_ok());
    }

    #[tokio::test]
    async fn waiting_has_an_end() {
        let gate = Gate::new(1, Duration::from_millis(10));
        let _working = gate.enter().await.unwrap();
        let failure = gate.enter().await.unwrap_err();
        assert_eq!((failure.code(), failure.retry().is_some()), (Code::Overloaded, true));
    }

    #[tokio::test]
    async fn a_gate_can_be_widened_and_narrowed_while_somebody_works() {
        let gate = Gate::new(1, Duration::from_millis(1));
        let first = gate.enter().await.unwrap();
        assert!(gate.enter().await.is_err());
        gate.set(2, Duration::from_millis(1));
        let places = [gate.enter().await.unwrap(), gate.enter().await.unwrap()];
        assert!(gate.enter().await.is_err());
        drop((first, places));
        gate.set(1, Duration::from_millis(1));
        let _only = gate.enter().await.unwrap();
        assert!(gate.enter().await.is_err());
    }
}
