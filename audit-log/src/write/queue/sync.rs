//! The lock and the condition of the queue.
//!
//! The unit tests of this crate take shuttle's instead of the standard library's, so that
//! `testing::interleavings` runs the very source of the queue under schedules of its choice. So the
//! schedules are part of the ordinary `cargo test`, with nothing built twice: everything else that
//! uses a queue is tested from outside (`tests/log`), where the library is built as it ships. A
//! unit test must not use a queue outside of shuttle; shuttle panics when one does.

use std::time::Duration;

#[cfg(not(test))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};

#[cfg(test)]
pub(crate) use crate::testing::schedule_sync::{Condvar, Mutex, MutexGuard};

/// The longest wait of one who waits already for others: what one sync of a good disk takes, or
/// two.
pub(crate) const GROUP_WAIT: Duration = if cfg!(test) {
    // Time does not pass in a schedule.
    Duration::ZERO
} else {
    Duration::from_micros(300)
};
