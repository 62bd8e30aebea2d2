//! How often a key may be used, where its policy says so.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::key::{Eoa, KeyName};
use crate::service::{ErrorCode, ServiceError};

/// One limiter for each key that has a cap and was used; a changed cap begins anew.
#[derive(Debug, Default)]
pub(in crate::service) struct KeyRateLimits(
    Mutex<HashMap<(Eoa, KeyName), (NonZeroU32, DefaultDirectRateLimiter)>>,
);

impl KeyRateLimits {
    /// Counts one use. A refusal leaves no record: a flood of them would be a flood of records.
    pub(in crate::service) fn take(
        &self,
        eoa: &Eoa,
        name: &KeyName,
        cap: Option<NonZeroU32>,
    ) -> Result<(), ServiceError> {
        let Some(cap) = cap else { return Ok(()) };
        let mut limiters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || (cap, RateLimiter::direct(Quota::per_minute(cap)));
        let limiter = limiters.entry((*eoa, name.clone())).or_insert_with(fresh);
        if limiter.0 != cap {
            *limiter = fresh();
        }
        limiter.1.check().map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now()).max(Duration::from_millis(1));
            let sentence = "this key may not be used that often; its policy has a cap per minute";
            ServiceError::new(ErrorCode::RateLimited, sentence).retry_after(wait).recorded()
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    #[test]
    fn a_cap_is_for_one_key_and_a_key_without_one_has_none() {
        let (caps, eoa) = (KeyRateLimits::default(), Eoa::new([1; 20]));
        let (one, other): (KeyName, KeyName) = ("one".parse().unwrap(), "other".parse().unwrap());
        let two = NonZeroU32::new(2);
        assert!(caps.take(&eoa, &one, two).is_ok() && caps.take(&eoa, &one, two).is_ok());
        let failure = caps.take(&eoa, &one, two).unwrap_err();
        assert_eq!(failure.code(), ErrorCode::RateLimited);
        assert!(failure.retry().unwrap() <= Duration::from_secs(30), "{failure:?}");
        assert!(caps.take(&eoa, &other, two).is_ok());
        assert!((0..100).all(|_| caps.take(&eoa, &one, None).is_ok()));
        assert!(caps.take(&eoa, &one, NonZeroU32::new(3)).is_ok());
    }
}
