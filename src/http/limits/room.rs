//! The waiting room before the gate: takes in a burst, and nobody while a crowd stands there.
//!
//! A queue that empties again has done its work; one that stands only makes everybody late, and is as long after a
//! minute as after a second (Nichols and Jacobson, "Controlling Queue Delay", 2012). Not for: who is worked on (`gate`).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So long a queue may stand before it counts as a crowd.
const STANDING: Duration = Duration::from_millis(25);

/// So long nobody may be turned away before a burst is taken in again.
const QUIET: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Room {
    /// How many of a burst may wait; of a crowd nobody may.
    burst: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: usize,
    /// Since when somebody has been waiting all the time.
    standing: Option<Instant>,
    /// When a crowd was last seen.
    crowded: Option<Instant>,
}

impl State {
    fn is_crowded(&mut self, now: Instant) -> bool {
        if self.standing.is_some_and(|since| now.saturating_duration_since(since) >= STANDING) {
            self.crowded = Some(now);
        }
        self.crowded.is_some_and(|seen| now.saturating_duration_since(seen) < QUIET)
    }
}

/// A seat; free again when dropped.
#[derive(Debug)]
pub(crate) struct Seat<'a>(&'a Room);

impl Room {
    /// The room before so many places: four may wait for each.
    pub(crate) fn new(places: usize) -> Self {
        Self { burst: places.saturating_mul(4), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody else could sit down.
    pub(crate) fn is_full(&self, now: Instant) -> bool {
        self.is_full_now(&mut self.state(), now)
    }

    fn is_full_now(&self, state: &mut State, now: Instant) -> bool {
        if state.is_crowded(now) {
            // They are still there.
            state.crowded = Some(now);
            return true;
        }
        state.waiting >= self.burst
    }

    /// A seat, unless the room is full.
    pub(crate) fn enter(&self, now: Instant) -> Option<Seat<'_>> {
        let mut state = self.state();
        if self.is_full_now(&mut state, now) {
            return None;
        }
        state.waiting += 1;
        state.standing.get_or_insert(now);
        Some(Seat(self))
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.waiting = state.waiting.saturating_sub(1);
        if state.waiting == 0 {
            state.standing = None;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    /// So many as sit down at that moment.
    fn fill(room: &Room, now: Instant) -> Vec<Seat<'_>> {
        std::iter::from_fn(|| room.enter(now)).collect()
    }

    #[test]
    fn a_burst_finds_room_again_and_again_when_the_queue_empties_in_between() {
        let (room, mut now) = (Room::new(4), Instant::now());
        for _ in 0..1_000 {
            let seats = fill(&room, now);
            assert_eq!(seats.len(), 16);
            assert!(room.is_full(now));
            now += STANDING / 2;
            drop(seats);
            assert!(!room.is_full(now));
        }
    }

    #[test]
    fn a_crowd_finds_no_room_until_nobody_has_been_turned_away_for_a_while() {
        let (room, mut now) = (Room::new(4), Instant::now());
        let mut seats = fill(&room, now);
        // One goes, one comes, and somebody is always waiting.
        for _ in 0..10 {
            now += STANDING / 5;
            seats.pop();
            seats.extend(room.enter(now));
        }
        drop(seats);
        now += QUIET / 2;
        for _ in 0..10 {
            assert!(fill(&room, now).is_empty(), "empty for a moment is not quiet");
            now += QUIET / 2;
        }
        now += QUIET / 2;
        assert!(!room.is_full(now));
        assert_eq!(fill(&room, now).len(), 16);
    }

    #[test]
    fn one_place_has_a_room_too() {
        let (room, now) = (Room::new(1), Instant::now());
        assert_eq!(fill(&room, now).len(), 4);
        let seat = room.enter(now).unwrap();
        assert!(room.enter(now + STANDING / 2).is_some());
        assert!(room.enter(now + STANDING).is_none(), "one has waited too long already");
        drop(seat);
        assert!(room.enter(now + STANDING + QUIET).is_some());
    }
}
