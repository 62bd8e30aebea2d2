//! What time it is, injected: months pass in milliseconds where a test says so. A leaf.
//!
//! Not for: deadlines and timeouts of requests (`std::time::Instant`).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// A moment on two clocks, so that a jump of one is seen by the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The calendar.
    pub wall: Timestamp,
    /// Time since some start; never jumps.
    pub steady: Duration,
}

/// Tells the time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System(Instant),
    Set(Arc<Mutex<Moment>>),
}

impl Clock {
    /// This machine's clocks.
    pub fn system() -> Self {
        Self(Source::System(Instant::now()))
    }

    /// A clock that stands until it is set.
    pub fn standing_at(wall: Timestamp) -> Self {
        Self(Source::Set(Arc::new(Mutex::new(Moment { wall, steady: Duration::ZERO }))))
    }

    /// The moment.
    pub fn moment(&self) -> Moment {
        match &self.0 {
            Source::System(start) => Moment { wall: Timestamp::now(), steady: start.elapsed() },
            Source::Set(moment) => *moment.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Lets time pass on both clocks of a standing one.
    pub fn pass(&self, time: Duration) {
        self.set(|moment| {
            moment.wall = moment.wall.saturating_add(time).unwrap_or(moment.wall);
            moment.steady += time;
        });
    }

    /// Sets the calendar of a standing clock alone: a jump.
    pub fn jump_to(&self, wall: Timestamp) {
        self.set(|moment| moment.wall = wall);
    }

    fn set(&self, change: impl FnOnce(&mut Moment)) {
        if let Source::Set(moment) = &self.0 {
            change(&mut moment.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}
