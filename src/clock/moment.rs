//! One moment on the wall clock and on the monotonic clock.

use std::time::Duration;

use jiff::Timestamp;

/// A moment on two clocks, so that a jump of the wall clock is detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock.
    pub wall: Timestamp,
    /// Time since some start; never jumps.
    pub monotonic: Duration,
}
