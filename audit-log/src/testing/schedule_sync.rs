//! Shuttle's lock and condition for the queue, with a bug that can be planted.

use std::cell::Cell;
use std::sync::LockResult;
use std::time::Duration;

use shuttle::rand::{Rng, thread_rng};
pub(crate) use shuttle::sync::{Mutex, MutexGuard};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bug {
    None,
    LosesWakeUps,
    AnswersBeforeItWrites,
}

thread_local! {
    pub(super) static PLANTED: Cell<Bug> = const { Cell::new(Bug::None) };
}

pub(crate) struct Condvar(shuttle::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(shuttle::sync::Condvar::new())
    }

    pub(crate) fn notify_one(&self) {
        let lost = PLANTED.get() == Bug::LosesWakeUps && thread_rng().gen_range(0..4) == 0;
        if !lost {
            self.0.notify_one();
        }
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        time: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, shuttle::sync::WaitTimeoutResult)> {
        self.0.wait_timeout(guard, time)
    }

    pub(crate) fn wait_timeout_while<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        time: Duration,
        condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, shuttle::sync::WaitTimeoutResult)> {
        self.0.wait_timeout_while(guard, time, condition)
    }
}
