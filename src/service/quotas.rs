//! Quotas: what one EOA may have here, and all of them together. What a client can make is bounded.
//!
//! The administrator of this host is exempt: the command line must work when a quota is reached.

use std::sync::Arc;

use jiff::Timestamp;

use super::context::Context;
use super::error::ServiceError;
use super::error_code::ErrorCode;
use crate::auth::Caller;
use crate::key::{Eoa, KeyName, KeyVersion, LifecycleState, Reservation, ScheduleScope};
use crate::store::Store;

/// How much may be here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Keys of one EOA.
    pub keys_per_eoa: usize,
    /// Versions of one key that are not destroyed.
    pub versions_per_key: usize,
    /// Valid access tokens of one EOA.
    pub access_tokens_per_eoa: usize,
    /// Rotation schedules of one EOA.
    pub schedules_per_eoa: usize,
    /// Keys of all EOAs.
    pub keys: usize,
}

impl Quotas {
    /// No quota at all.
    pub const NONE: Self = Self {
        keys_per_eoa: usize::MAX,
        versions_per_key: usize::MAX,
        access_tokens_per_eoa: usize::MAX,
        schedules_per_eoa: usize::MAX,
        keys: usize::MAX,
    };

    /// Whether one more key fits. A reservation counts: the token may hold its record already.
    pub(in crate::service) fn check_new_key(
        &self,
        context: &Context,
        store: &Store,
        (eoa, name): (&Eoa, &KeyName),
        reservations: &[Reservation],
    ) -> Result<(), ServiceError> {
        let others = |it: &&Reservation| {
            (it.eoa, &it.name) != (*eoa, name) && store.versions_of_key(&it.eoa, &it.name).is_empty()
        };
        let reserved: Vec<_> = reservations.iter().filter(others).collect();
        let (own, all) = store.key_counts(eoa);
        let own = own + reserved.iter().filter(|it| it.eoa == *eoa).count();
        check(context, own, self.keys_per_eoa, "this EOA has the", "keys", "keys_per_eoa")?;
        check(context, all + reserved.len(), self.keys, "this service has the", "keys", "max_keys")
    }

    /// Whether one more version of a key fits.
    pub(in crate::service) fn check_new_version(
        &self,
        context: &Context,
        versions: &[Arc<KeyVersion>],
    ) -> Result<(), ServiceError> {
        let kept = versions.iter().filter(|it| it.status.lifecycle != LifecycleState::Destroyed).count();
        check(context, kept, self.versions_per_key, "this key has the", "versions", "versions_per_key")
    }

    /// Whether one more access token of an EOA fits.
    pub(in crate::service) fn check_new_access_token(
        &self,
        context: &Context,
        store: &Store,
        eoa: &Eoa,
        now: Timestamp,
    ) -> Result<(), ServiceError> {
        let (count, what) = (store.live_access_tokens_of(eoa, now), "valid access tokens");
        check(context, count, self.access_tokens_per_eoa, "this EOA has the", what, "access_tokens_per_eoa")
    }

    /// Whether one more schedule of an EOA fits. To replace one takes no place.
    pub(in crate::service) fn check_schedule(
        &self,
        context: &Context,
        store: &Store,
        eoa: &Eoa,
        scope: &ScheduleScope,
    ) -> Result<(), ServiceError> {
        if store.schedule(eoa, scope).is_some() {
            return Ok(());
        }
        let count = store.schedules_of(eoa);
        check(context, count, self.schedules_per_eoa, "this EOA has the", "schedules", "schedules_per_eoa")
    }
}

fn check(
    context: &Context,
    count: usize,
    most: usize,
    whose: &str,
    what: &str,
    setting: &str,
) -> Result<(), ServiceError> {
    if count < most || context.caller().is_some_and(Caller::is_local) {
        return Ok(());
    }
    let message = format!(
        "{whose} {most} {what} that limits.{setting} allows; nothing was made; remove one, or ask the \
         administrator of this service"
    );
    Err(ServiceError::new(ErrorCode::QuotaExceeded, message))
}
