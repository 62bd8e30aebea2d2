//! Nonces of signed requests that were used and are not expired: each signature works once.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::auth::{Credentials, Unauthenticated};
use crate::key::Eoa;
use crate::service::error::ServiceError;
use crate::service::error_code::ErrorCode;

/// Nonces of one operator at a time; a signature is valid for five minutes.
const MOST_PER_OPERATOR: usize = 1_000;

/// Nonces of all operators.
const MOST: usize = 200_000;

/// Bound for operators that are not known here. Addresses are free to create: the other half is for EOAs with keys.
const MOST_OF_UNKNOWN: usize = MOST / 2;

/// The nonces that were used and would still be valid.
#[derive(Debug, Default)]
pub(super) struct ReplayWindow(Mutex<SeenNonces>);

#[derive(Debug, Default)]
struct SeenNonces {
    by_operator: HashMap<Eoa, HashSet<[u8; 32]>>,
    by_expiry: BTreeSet<(u64, Eoa, [u8; 32])>,
    /// What was deleted at some time stays expired when the clock is set back.
    latest: u64,
}

impl ReplayWindow {
    /// Uses a nonce; times in Unix seconds.
    pub(super) fn take(
        &self,
        credentials: &Credentials,
        now: u64,
        is_known: bool,
    ) -> Result<(), ServiceError> {
        let Credentials { operator, expires, nonce, .. } = *credentials;
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.delete_expired(now);
        if expires <= seen.latest {
            return Err(Unauthenticated::SignedTimes.into());
        }
        let count = seen.by_expiry.len();
        let own = seen.by_operator.get(&operator);
        if own.is_some_and(|own| own.contains(&nonce)) {
            return Err(Unauthenticated::Replayed.into());
        }
        let wait = Duration::from_secs(1);
        if own.is_some_and(|own| own.len() >= MOST_PER_OPERATOR) {
            let message =
                "too many signed requests of this operator in the last minutes; use an access token";
            return Err(ServiceError::new(ErrorCode::RateLimited, message).retry_after(wait));
        }
        if count >= if is_known { MOST } else { MOST_OF_UNKNOWN } {
            let message = "too many signed requests in the last minutes";
            return Err(ServiceError::new(ErrorCode::Overloaded, message).retry_after(wait));
        }
        seen.insert(operator, nonce, expires);
        Ok(())
    }

    /// Adds a nonce that an earlier process accepted.
    pub(super) fn restore(&self, operator: Eoa, nonce: [u8; 32], expires: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(operator, nonce, expires);
    }

    /// How many nonces are kept.
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).by_expiry.len()
    }
}

impl SeenNonces {
    fn insert(&mut self, operator: Eoa, nonce: [u8; 32], expires: u64) {
        self.by_operator.entry(operator).or_default().insert(nonce);
        self.by_expiry.insert((expires, operator, nonce));
    }

    fn delete_expired(&mut self, now: u64) {
        self.latest = self.latest.max(now);
        while let Some(&(expires, operator, nonce)) = self.by_expiry.first()
            && expires <= self.latest
        {
            self.by_expiry.pop_first();
            if let Some(own) = self.by_operator.get_mut(&operator) {
                own.remove(&nonce);
                if own.is_empty() {
                    self.by_operator.remove(&operator);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
