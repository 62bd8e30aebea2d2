//! The lock and the condition of the hand-over, in one place: the tests compile the queue a second time over others
//! (`scheduled`).

pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
