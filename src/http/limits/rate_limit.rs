//! Token-bucket rate limits per client network and per access token, stricter where nothing was proven.
//!
//! The memory is bounded, however many addresses an attacker has: what is least limited is forgotten first. A wrong
//! credential is counted after it was found wrong, so that guesses lock no valid access token out. Signatures are
//! expensive to check: of a network with too many refused credentials for an EOA none for that EOA is checked. Others
//! behind the same address still log in.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use governor::clock::{Clock, DefaultClock};
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

use crate::auth::AccessTokenId;
use crate::http::limits::connection_limit::ClientNetwork;
use crate::key::Eoa;
use crate::service::{ErrorCode, ServiceError};

/// The rates of the client listeners; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateSettings {
    /// Requests of one client network per second.
    pub requests_per_address: u32,
    /// Requests with one access token per second.
    pub requests_per_access_token: u32,
    /// Refused credentials of one client network per minute.
    pub auth_failures_per_address: u32,
    /// Signatures of one client network that are checked per second: logins and signed requests.
    pub signature_checks_per_address: u32,
}

/// The rate limits in force; the rates can change.
#[derive(Debug)]
pub(crate) struct RateLimits(ArcSwap<Limiters>);

#[derive(Debug)]
struct Limiters {
    settings: RateSettings,
    requests: Option<KeyedLimiter<ClientNetwork>>,
    tokens: Option<KeyedLimiter<AccessTokenId>>,
    auth_failures: Option<KeyedLimiter<Claim>>,
    /// Until when a network has too many auth failures for an EOA.
    locked_out: Mutex<HashMap<Claim, Instant>>,
    signature_checks: Option<KeyedLimiter<ClientNetwork>>,
}

impl RateLimits {
    pub(crate) fn new(settings: RateSettings) -> Self {
        Self(ArcSwap::from_pointee(Limiters::new(settings)))
    }

    /// Applies other rates. Counts under the old rates are forgotten, unless the rates are the same.
    pub(crate) fn set(&self, settings: RateSettings) {
        if self.0.load().settings != settings {
            self.0.store(Arc::new(Limiters::new(settings)));
        }
    }

    /// Counts a request of an address.
    pub(crate) fn request(&self, from: IpAddr) -> Result<(), ServiceError> {
        count(self.0.load().requests.as_ref(), &from.into(), "too many requests from this address")
    }

    /// Counts a request with an access token.
    pub(crate) fn token(&self, token: &AccessTokenId) -> Result<(), ServiceError> {
        count(self.0.load().tokens.as_ref(), token, "too many requests with this access token")
    }

    /// Counts credentials that were presented and refused. `claimed` is the EOA that they name, if they name one.
    pub(crate) fn record_auth_failure(&self, claimed: Option<Eoa>, from: IpAddr) -> Result<(), ServiceError> {
        let (limiters, from) = (self.0.load(), Claim { claimed, from: from.into() });
        let counted = count(limiters.auth_failures.as_ref(), &from, TOO_MANY_AUTH_FAILURES);
        if let Some(wait) = counted.as_ref().err().and_then(ServiceError::retry) {
            limiters.lock_out(from, Instant::now() + wait);
        }
        counted
    }

    /// Refuses an address with too many auth failures for this EOA, before a signature is checked.
    pub(crate) fn check_not_locked_out(
        &self,
        claimed: Option<Eoa>,
        from: IpAddr,
    ) -> Result<(), ServiceError> {
        let limiters = self.0.load();
        let until = limiters.locked_out().get(&Claim { claimed, from: from.into() }).copied();
        match until.and_then(|until| until.checked_duration_since(Instant::now())) {
            Some(wait) if !wait.is_zero() => {
                let wait = wait.max(SHORTEST_WAIT);
                Err(ServiceError::new(ErrorCode::RateLimited, TOO_MANY_AUTH_FAILURES).retry_after(wait))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Counts a signature before it is checked.
    pub(crate) fn signature_check(&self, from: IpAddr) -> Result<(), ServiceError> {
        let message = "too many signatures to check from this address";
        count(self.0.load().signature_checks.as_ref(), &from.into(), message)
    }
}

/// Whose credentials were refused, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Claim {
    claimed: Option<Eoa>,
    from: ClientNetwork,
}

const TOO_MANY_AUTH_FAILURES: &str = "too many refused credentials from this address";

/// The unit in which a response says how long to wait.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// The most keys of one kind that are remembered, some 10 MB.
const MAX_KEYS: usize = 65_536;

impl Limiters {
    fn new(settings: RateSettings) -> Self {
        Self {
            settings,
            requests: KeyedLimiter::new(settings.requests_per_address, Quota::per_second),
            tokens: KeyedLimiter::new(settings.requests_per_access_token, Quota::per_second),
            auth_failures: KeyedLimiter::new(settings.auth_failures_per_address, Quota::per_minute),
            locked_out: Mutex::default(),
            signature_checks: KeyedLimiter::new(settings.signature_checks_per_address, Quota::per_second),
        }
    }

    fn locked_out(&self) -> std::sync::MutexGuard<'_, HashMap<Claim, Instant>> {
        self.locked_out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_out(&self, from: Claim, until: Instant) {
        let mut locked_out = self.locked_out();
        evict_if_full(&mut locked_out, MAX_KEYS, &from);
        locked_out.insert(from, until);
    }
}

fn count<K: Clone + Eq + Hash>(
    limiter: Option<&KeyedLimiter<K>>,
    key: &K,
    message: &'static str,
) -> Result<(), ServiceError> {
    let wait = limiter.map_or(Ok(()), |limiter| limiter.count(key));
    wait.map_err(|wait| ServiceError::new(ErrorCode::RateLimited, message).retry_after(wait))
}

#[derive(Debug)]
struct KeyedLimiter<K: Clone + Eq + Hash>(RateLimiter<K, BoundedStore<K>, DefaultClock>);

impl<K: Clone + Eq + Hash> KeyedLimiter<K> {
    fn new(rate: u32, quota: fn(NonZeroU32) -> Quota) -> Option<Self> {
        let store = BoundedStore { max_keys: MAX_KEYS, states: Mutex::default() };
        Some(Self(RateLimiter::new(quota(NonZeroU32::new(rate)?), store, DefaultClock::default())))
    }

    /// How long to wait, where the key has reached its rate.
    fn count(&self, key: &K) -> Result<(), Duration> {
        let checked = self.0.check_key(key);
        checked.map_err(|until| until.wait_time_from(DefaultClock::default().now()).max(SHORTEST_WAIT))
    }
}

/// The state of each key: the time from which its whole rate is free again (GCRA's theoretical arrival time).
#[derive(Debug)]
struct BoundedStore<K> {
    max_keys: usize,
    states: Mutex<HashMap<K, Nanos>>,
}

impl<K: Clone + Eq + Hash> StateStore for BoundedStore<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let (verdict, state) = measure(states.get(key).copied())?;
        evict_if_full(&mut states, self.max_keys, key);
        states.insert(key.clone(), state);
        Ok(verdict)
    }
}

/// Frees space for a key in a full map: forgets the half of the keys whose limit ends first. An attacker with many
/// addresses displaces those that have done least, never the counts of a network that is about to be limited.
fn evict_if_full<K: Eq + Hash, V: Copy + Ord>(map: &mut HashMap<K, V>, max_keys: usize, key: &K) {
    if map.len() < max_keys || map.contains_key(key) {
        return;
    }
    let mut ends: Vec<V> = map.values().copied().collect();
    let (_, &mut median, _) = ends.select_nth_unstable(max_keys / 2);
    map.retain(|_, end| *end > median);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_rate_is_kept_per_key_and_says_how_long_to_wait() {
        let rates = RateLimits::new(RateSettings { auth_failures_per_address: 3, ..RateSettings::default() });
        let (one, other) = (Ipv4Addr::new(192, 0, 2, 1).into(), Ipv4Addr::new(192, 0, 2, 2).into());
        assert!((0..3).all(|_| rates.record_auth_failure(None, one).is_ok()));
        let failure = rates.record_auth_failure(None, one).unwrap_err();
        assert_eq!(failure.code(), ErrorCode::RateLimited);
        let wait = failure.retry().unwrap();
        assert!(wait > Duration::from_secs(15) && wait <= Duration::from_secs(20), "{wait:?}");
        assert!(rates.record_auth_failure(None, other).is_ok());
        assert!(rates.request(one).is_ok(), "0 is no limit");
    }

    #[test]
    fn an_address_with_too_many_failures_is_known_before_the_next_one() {
        let rates = RateLimits::new(RateSettings { auth_failures_per_address: 3, ..RateSettings::default() });
        let (one, other) = (Ipv4Addr::new(192, 0, 2, 1).into(), Ipv4Addr::new(192, 0, 2, 2).into());
        assert!(
            (0..3).all(|_| rates.check_not_locked_out(None, one).is_ok()
                && rates.record_auth_failure(None, one).is_ok())
        );
        assert!(rates.check_not_locked_out(None, one).is_ok(), "three are not too many");
        let counted = rates.record_auth_failure(None, one).unwrap_err();
        let failure = rates.check_not_locked_out(None, one).unwrap_err();
        assert_eq!(failure.code(), ErrorCode::RateLimited);
        assert!(failure.retry() <= counted.retry() && failure.retry() > Some(Duration::from_secs(10)));
        assert!(rates.check_not_locked_out(None, other).is_ok());
        let neighbour = Some(Eoa::new([7; 20]));
        assert!(
            rates.check_not_locked_out(neighbour, one).is_ok(),
            "another EOA of this address is locked out"
        );
    }

    #[test]
    fn new_rates_hold_at_once_and_the_same_ones_forget_nothing() {
        let two = RateSettings { auth_failures_per_address: 2, ..RateSettings::default() };
        let rates = RateLimits::new(two);
        let one = Ipv4Addr::new(192, 0, 2, 1).into();
        assert!((0..2).all(|_| rates.record_auth_failure(None, one).is_ok()));
        rates.set(two);
        assert!(rates.record_auth_failure(None, one).is_err());
        rates.set(RateSettings { auth_failures_per_address: 3, ..two });
        assert!((0..3).all(|_| rates.record_auth_failure(None, one).is_ok()));
        assert!(rates.record_auth_failure(None, one).is_err());
    }

    #[test]
    fn the_memory_is_bounded_and_many_addresses_reset_no_count() {
        let quota = Quota::per_minute(NonZeroU32::new(5).unwrap());
        let store = BoundedStore { max_keys: 1_000, states: Mutex::default() };
        let limiter = KeyedLimiter(RateLimiter::new(quota, store, DefaultClock::default()));
        let offender = u32::MAX;
        assert!((0..5).all(|_| limiter.count(&offender).is_ok()));
        for key in 0..20_000 {
            assert_eq!(limiter.count(&key), Ok(()));
        }
        assert!(limiter.count(&offender).is_err(), "the other addresses reset this one's count");
        assert!(limiter.0.into_state_store().states.lock().unwrap().len() <= 1_000);
    }

    #[test]
    fn many_ipv6_networks_end_no_lock_out() {
        let rates = RateLimits::new(RateSettings { auth_failures_per_address: 2, ..RateSettings::default() });
        let (victim, offender) = (Some(Eoa::new([7; 20])), Ipv4Addr::new(192, 0, 2, 1).into());
        assert_eq!((0..3).filter(|_| rates.record_auth_failure(victim, offender).is_err()).count(), 1);
        for network in 0..2 * MAX_KEYS as u128 {
            let one = std::net::Ipv6Addr::from(0x2001_0db8 << 96 | network << 64);
            assert!(rates.record_auth_failure(victim, one.into()).is_ok());
        }
        assert!(rates.check_not_locked_out(victim, offender).is_err(), "other networks ended the lock-out");
        assert!(rates.record_auth_failure(victim, offender).is_err(), "other networks reset the count");
    }

    #[test]
    fn keys_with_equal_ends_are_evicted_too() {
        let mut map: HashMap<u32, u32> = (0..10).map(|key| (key, 7)).collect();
        evict_if_full(&mut map, 10, &3);
        assert_eq!(map.len(), 10, "the key has its place already");
        evict_if_full(&mut map, 10, &10);
        assert!(map.len() < 10);
    }
}
