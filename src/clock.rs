//! Clock, injected where time decides, so that a test can let months pass in milliseconds. A leaf.
//!
//! Not for: deadlines and timeouts of requests (`std::time::Instant`).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// A moment on two clocks, so that a jump of the wall clock is detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock.
    pub wall: Timestamp,
    /// Time since some start; never jumps.
    pub monotonic: Duration,
}

/// Tells the time.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System(Instant),
    Fixed(Arc<Mutex<Moment>>),
}

impl Clock {
    /// The clocks of this machine.
    pub fn system() -> Self {
        Self(Source::System(Instant::now()))
    }

    /// A clock that moves only by explicit calls; all clones move together.
    pub fn fixed(wall: Timestamp) -> Self {
        Self(Source::Fixed(Arc::new(Mutex::new(Moment { wall, monotonic: Duration::ZERO }))))
    }

    /// The time on both clocks.
    pub fn moment(&self) -> Moment {
        match &self.0 {
            Source::System(start) => Moment { wall: Timestamp::now(), monotonic: start.elapsed() },
            Source::Fixed(moment) => *moment.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// The time on the wall clock.
    pub fn now(&self) -> Timestamp {
        self.moment().wall
    }

    /// Lets time pass on both clocks of a fixed one.
    pub fn advance(&self, time: Duration) {
        self.set(|moment| {
            moment.wall = moment.wall.saturating_add(time).unwrap_or(moment.wall);
            moment.monotonic += time;
        });
    }

    /// Sets the wall clock of a fixed one alone: a jump.
    pub fn set_wall(&self, wall: Timestamp) {
        self.set(|moment| moment.wall = wall);
    }

    fn set(&self, change: impl FnOnce(&mut Moment)) {
        if let Source::Fixed(moment) = &self.0 {
            change(&mut moment.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// Rate limits count on the monotonic clock.
impl governor::clock::Clock for Clock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.moment().monotonic
    }
}
