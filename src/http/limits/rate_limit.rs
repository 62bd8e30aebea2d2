//! How often somebody may ask: per address and per token, and less often when nothing was proven.
//!
//! What is remembered is bounded, whoever asks from however many addresses. A wrong token is counted after it
//! was found wrong, so nobody is locked out of a right one by somebody else's guesses. Signatures are dear to check:
//! of an address that had too many refused none is.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::auth::TokenId;
use crate::http::limits::connection_limit::Network;
use crate::http::limits::current::Current;
use crate::service::{Code, Failure};

/// The rates of a listener; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateSettings {
    /// Requests of one address per second.
    pub requests_per_address: u32,
    /// Requests with one token per second.
    pub requests_per_token: u32,
    /// Refused credentials of one address per minute.
    pub failures_per_address: u32,
    /// Signatures of one address per second that are to be checked: logins and signed requests.
    pub proofs_per_address: u32,
}

/// The counters; the rates can change.
#[derive(Debug)]
pub(crate) struct Rates(Current<Counters>);

#[derive(Debug)]
struct Counters {
    settings: RateSettings,
    requests: Option<Buckets<Network>>,
    tokens: Option<Buckets<TokenId>>,
    failures: Option<Buckets<Network>>,
    /// Until when the failures of an address are too many.
    over: Mutex<HashMap<Network, Instant>>,
    proofs: Option<Buckets<Network>>,
}

impl Rates {
    pub(crate) fn new(settings: RateSettings) -> Self {
        Self(Current::new(Counters::new(settings)))
    }

    /// Other rates from now on. What was counted under the old ones is forgotten, unless they are the same.
    pub(crate) fn set(&self, settings: RateSettings) {
        if self.0.now().settings != settings {
            self.0.set(Counters::new(settings));
        }
    }

    /// Counts a request of an address.
    pub(crate) fn request(&self, from: IpAddr) -> Result<(), Failure> {
        count(self.0.now().requests.as_ref(), from.into(), "too many requests from this address")
    }

    /// Counts a request with a token.
    pub(crate) fn token(&self, token: &TokenId) -> Result<(), Failure> {
        count(self.0.now().tokens.as_ref(), token.clone(), "too many requests with this token")
    }

    /// Counts credentials that were refused.
    pub(crate) fn failure(&self, from: IpAddr) -> Result<(), Failure> {
        let (counters, from) = (self.0.now(), from.into());
        let counted = count(counters.failures.as_ref(), from, TOO_MANY_FAILURES);
        if let Some(wait) = counted.as_ref().err().and_then(Failure::retry) {
            counters.remember(from, Instant::now() + wait);
        }
        counted
    }

    /// Refuses an address whose failures are too many, before anything of it is checked.
    pub(crate) fn is_trusted(&self, from: IpAddr) -> Result<(), Failure> {
        let counters = self.0.now();
        let until = counters.over.lock().unwrap_or_else(PoisonError::into_inner).get(&from.into()).copied();
        match until.and_then(|until| until.checked_duration_since(Instant::now())) {
            Some(wait) if !wait.is_zero() => {
                let wait = wait.max(Duration::from_millis(1));
                Err(Failure::new(Code::RateLimited, TOO_MANY_FAILURES).retry_after(wait))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Counts a signature that is costly to check, before it is checked.
    pub(crate) fn proof(&self, from: IpAddr) -> Result<(), Failure> {
        count(self.0.now().proofs.as_ref(), from.into(), "too many signatures to check from this address")
    }
}

const TOO_MANY_FAILURES: &str = "too many refused credentials from this address";

impl Counters {
    fn remember(&self, from: Network, until: Instant) {
        let mut over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        if over.len() >= MOST {
            let now = Instant::now();
            over.retain(|_, until| *until > now);
        }
        // Where even that leaves no room, one more is only counted.
        if over.len() < MOST {
            over.insert(from, until);
        }
    }

    fn new(settings: RateSettings) -> Self {
        Self {
            settings,
            requests: Buckets::new(settings.requests_per_address, Quota::per_second),
            tokens: Buckets::new(settings.requests_per_token, Quota::per_second),
            failures: Buckets::new(settings.failures_per_address, Quota::per_minute),
            over: Mutex::default(),
            proofs: Buckets::new(settings.proofs_per_address, Quota::per_second),
        }
    }
}

fn count<K: Clone + Eq + Hash>(
    buckets: Option<&Buckets<K>>,
    key: K,
    sentence: &'static str,
) -> Result<(), Failure> {
    let wait = buckets.map_or(Ok(()), |buckets| buckets.count(&key));
    wait.map_err(|wait| Failure::new(Code::RateLimited, sentence).retry_after(wait))
}

/// The most keys of one kind that are remembered, some 10 MB.
const MOST: usize = 65_536;

type Limiter<K> = RateLimiter<K, HashMapStateStore<K>, DefaultClock>;

#[derive(Debug)]
struct Buckets<K: Clone + Eq + Hash> {
    quota: Quota,
    most: usize,
    limiter: RwLock<Limiter<K>>,
}

impl<K: Clone + Eq + Hash> Buckets<K> {
    fn new(rate: u32, quota: fn(NonZeroU32) -> Quota) -> Option<Self> {
        let quota = quota(NonZeroU32::new(rate)?);
        Some(Self { quota, most: MOST, limiter: RwLock::new(RateLimiter::hashmap(quota)) })
    }

    /// How long to wait, where the key has had its share.
    fn count(&self, key: &K) -> Result<(), Duration> {
        let limiter = self.limiter.read().unwrap_or_else(PoisonError::into_inner);
        let full = limiter.len() >= self.most;
        let verdict =
            limiter.check_key(key).map_err(|until| until.wait_time_from(DefaultClock::default().now()));
        drop(limiter);
        if full {
            self.make_room();
        }
        // Below a millisecond a client cannot wait.
        verdict.map_err(|wait| wait.max(Duration::from_millis(1)))
    }

    /// Forgets who has been quiet; where nobody has, everybody. Who owns so many addresses gains nothing by
    /// it that each of them does not give anyhow, and nobody else is shut out.
    fn make_room(&self) {
        let mut limiter = self.limiter.write().unwrap_or_else(PoisonError::into_inner);
        limiter.retain_recent();
        if limiter.len() > self.most / 2 {
            *limiter = RateLimiter::hashmap(self.quota);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_rate_is_kept_per_key_and_says_how_long_to_wait() {
        let rates = Rates::new(RateSettings { failures_per_address: 3, ..RateSettings::default() });
        let (one, other) = (Ipv4Addr::new(192, 0, 2, 1).into(), Ipv4Addr::new(192, 0, 2, 2).into());
        assert!((0..3).all(|_| rates.failure(one).is_ok()));
        let failure = rates.failure(one).unwrap_err();
        assert_eq!(failure.code(), Code::RateLimited);
        let wait = failure.retry().unwrap();
        assert!(wait > Duration::from_secs(15) && wait <= Duration::from_secs(20), "{wait:?}");
        assert!(rates.failure(other).is_ok());
        assert!(rates.request(one).is_ok(), "0 is no limit");
    }

    #[test]
    fn an_address_with_too_many_failures_is_known_before_the_next_one() {
        let rates = Rates::new(RateSettings { failures_per_address: 3, ..RateSettings::default() });
        let (one, other) = (Ipv4Addr::new(192, 0, 2, 1).into(), Ipv4Addr::new(192, 0, 2, 2).into());
        assert!((0..3).all(|_| rates.is_trusted(one).is_ok() && rates.failure(one).is_ok()));
        assert!(rates.is_trusted(one).is_ok(), "three are not too many");
        let counted = rates.failure(one).unwrap_err();
        let failure = rates.is_trusted(one).unwrap_err();
        assert_eq!(failure.code(), Code::RateLimited);
        assert!(failure.retry() <= counted.retry() && failure.retry() > Some(Duration::from_secs(10)));
        assert!(rates.is_trusted(other).is_ok());
    }

    #[test]
    fn new_rates_hold_at_once_and_the_same_ones_forget_nothing() {
        let two = RateSettings { failures_per_address: 2, ..RateSettings::default() };
        let rates = Rates::new(two);
        let one = Ipv4Addr::new(192, 0, 2, 1).into();
        assert!((0..2).all(|_| rates.failure(one).is_ok()));
        rates.set(two);
        assert!(rates.failure(one).is_err());
        rates.set(RateSettings { failures_per_address: 3, ..two });
        assert!((0..3).all(|_| rates.failure(one).is_ok()));
        assert!(rates.failure(one).is_err());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut buckets: Buckets<u32> = Buckets::new(1, Quota::per_minute).unwrap();
        buckets.most = 1_000;
        for key in 0..20_000 {
            assert_eq!(buckets.count(&key), Ok(()));
            assert!(buckets.limiter.read().unwrap().len() <= 1_001);
        }
    }
}
