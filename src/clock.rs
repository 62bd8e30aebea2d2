//! Clock, injected where time decides, so that a test can let months pass in milliseconds. A leaf.
//!
//! Not for: deadlines and timeouts of requests (`std::time::Instant`).

mod moment;
mod steady;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use steady::SteadyTime;

pub use moment::Moment;
pub use steady::SETTLING;

/// Tells the time.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
    steady: Arc<Mutex<SteadyTime>>,
}

#[derive(Clone, Debug)]
enum Source {
    System(Instant),
    Fixed(Arc<Mutex<Moment>>),
}

impl Clock {
    /// The clocks of this machine.
    pub fn system() -> Self {
        Self::new(Source::System(Instant::now()))
    }

    /// A clock that moves only by explicit calls; all clones move together.
    pub fn fixed(wall: Timestamp) -> Self {
        Self::new(Source::Fixed(Arc::new(Mutex::new(Moment { wall, monotonic: Duration::ZERO }))))
    }

    fn new(source: Source) -> Self {
        let steady = Arc::new(Mutex::new(SteadyTime::new(source.moment())));
        Self { source, steady }
    }

    /// The time on both clocks.
    pub fn moment(&self) -> Moment {
        self.source.moment()
    }

    /// The time on the wall clock.
    pub fn now(&self) -> Timestamp {
        self.moment().wall
    }

    /// The highest time that was seen and is believed; it never goes back. What has expired by it may be forgotten.
    pub fn highest(&self) -> Timestamp {
        self.steady.lock().unwrap_or_else(PoisonError::into_inner).highest(self.moment())
    }

    /// The time for credentials: the wall clock's, and never before [`highest`](Self::highest).
    pub fn latest(&self) -> Timestamp {
        self.highest().max(self.now())
    }

    /// Takes over a time that an earlier process has seen.
    pub fn raise(&self, seen: Timestamp) {
        self.steady.lock().unwrap_or_else(PoisonError::into_inner).raise(seen);
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
        if let Source::Fixed(moment) = &self.source {
            change(&mut moment.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Source {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    fn moment(&self) -> Moment {
        match self {
            Self::System(start) => Moment { wall: Timestamp::now(), monotonic: start.elapsed() },
            Self::Fixed(moment) => *moment.lock().unwrap_or_else(PoisonError::into_inner),
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
