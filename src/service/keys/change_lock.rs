//! Turn to change keys: one change at a time, so that what was decided is still true when it is done.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::service::error::ServiceError;

/// The lock of all changes of keys.
#[derive(Clone, Debug, Default)]
pub(in crate::service) struct ChangeLock(Arc<Mutex<()>>);

impl ChangeLock {
    /// Waits for the turn. While the token hangs, changes give up at their deadlines instead of piling up.
    pub(in crate::service) async fn acquire(
        &self,
        deadline: Instant,
    ) -> Result<OwnedMutexGuard<()>, ServiceError> {
        let turn = tokio::time::timeout_at(deadline.into(), Arc::clone(&self.0).lock_owned()).await;
        turn.map_err(|_| ServiceError::too_late())
    }
}
