//! What key administration works with.

use std::sync::Arc;

use super::change_lock::ChangeLock;
use crate::clock::Clock;
use crate::service::auth::authorise::Authorizer;
use crate::service::custody::Custody;
use crate::service::quotas::Quotas;
use crate::service::recorder::Recorder;
use crate::store::Store;

/// Changes of keys: creation, rotation, transitions, destruction. Each has a file of its own.
#[derive(Clone, Debug)]
pub struct KeyAdmin {
    pub(super) authorizer: Authorizer,
    pub(super) recorder: Recorder,
    pub(super) custody: Arc<Custody>,
    pub(super) store: Store,
    pub(super) changes: ChangeLock,
    pub(super) quotas: Quotas,
    pub(super) clock: Clock,
}

impl KeyAdmin {
    pub(in crate::service) fn new(
        (authorizer, recorder): (Authorizer, Recorder),
        custody: Arc<Custody>,
        (store, changes): (Store, ChangeLock),
        quotas: Quotas,
        clock: Clock,
    ) -> Self {
        Self { authorizer, recorder, custody, store, changes, quotas, clock }
    }
}
