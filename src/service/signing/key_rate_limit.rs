//! Rate limit of each key, where its policy sets one.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::clock::Clock;
use crate::key::{Eoa, KeyName};
use crate::service::error::ServiceError;
use crate::service::error_code::ErrorCode;

type Limiter = RateLimiter<NotKeyed, InMemoryState, Clock, NoOpMiddleware<Duration>>;

/// One limiter for each key that has a limit and was used. A changed limit starts a new one.
#[derive(Debug)]
pub(in crate::service) struct KeyRateLimits {
    clock: Clock,
    limiters: Mutex<HashMap<(Eoa, KeyName), (NonZeroU32, Limiter)>>,
}

impl KeyRateLimits {
    pub(in crate::service) fn new(clock: Clock) -> Self {
        Self { clock, limiters: Mutex::default() }
    }

    /// Counts one use. A refusal leaves no record: many refusals would be many records.
    pub(in crate::service) fn take(
        &self,
        owner: &Eoa,
        name: &KeyName,
        per_minute: Option<NonZeroU32>,
    ) -> Result<(), ServiceError> {
        let Some(limit) = per_minute else { return Ok(()) };
        let mut limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || (limit, RateLimiter::direct_with_clock(Quota::per_minute(limit), self.clock.clone()));
        let limiter = limiters.entry((*owner, name.clone())).or_insert_with(new);
        if limiter.0 != limit {
            *limiter = new();
        }
        limiter.1.check().map_err(|until| {
            let now = governor::clock::Clock::now(&self.clock);
            let wait = until.wait_time_from(now).max(Duration::from_millis(1));
            let message =
                "this key was used more often than its policy allows per minute; nothing was signed";
            ServiceError::new(ErrorCode::RateLimited, message).retry_after(wait).recorded()
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_limit_is_for_one_key_and_a_key_without_one_has_none() {
        let clock = Clock::fixed(Timestamp::UNIX_EPOCH);
        let (limits, owner) = (KeyRateLimits::new(clock), Eoa::new([1; 20]));
        let (one, other): (KeyName, KeyName) = ("one".parse().unwrap(), "other".parse().unwrap());
        let two = NonZeroU32::new(2);
        assert!(limits.take(&owner, &one, two).is_ok() && limits.take(&owner, &one, two).is_ok());
        let error = limits.take(&owner, &one, two).unwrap_err();
        assert_eq!(error.code(), ErrorCode::RateLimited);
        assert!(error.retry().unwrap() <= Duration::from_secs(30), "{error:?}");
        assert!(limits.take(&owner, &other, two).is_ok());
        assert!((0..100).all(|_| limits.take(&owner, &one, None).is_ok()));
        assert!(limits.take(&owner, &one, NonZeroU32::new(3)).is_ok());
    }

    #[test]
    fn the_limit_follows_the_injected_clock() {
        let clock = Clock::fixed(Timestamp::UNIX_EPOCH);
        let (limits, owner, name) =
            (KeyRateLimits::new(clock.clone()), Eoa::new([1; 20]), KeyName::default());
        let one = NonZeroU32::new(1);
        assert!(limits.take(&owner, &name, one).is_ok());
        assert!(limits.take(&owner, &name, one).is_err());
        clock.advance(Duration::from_secs(60));
        assert!(limits.take(&owner, &name, one).is_ok());
    }
}
