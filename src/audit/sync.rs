//! The lock and the condition of the hand-over, in one place: the tests compile the queue a second time over others
//! (`scheduled`).

pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};

/// The longest wait of one who waits already for others: what one sync of a good disk takes, or two.
pub(crate) const GATHER: std::time::Duration = std::time::Duration::from_micros(300);
