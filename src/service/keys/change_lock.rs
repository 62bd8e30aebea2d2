//! Turns to change keys: one change at a time, so that what was decided is still true when it is done.
//!
//! Two locks, always taken in this order. What makes or changes anything takes the first one, also for as long as the
//! token works. What changes the state of a version takes the second one as well, for as long as log and store work. A
//! change that only takes away takes the second one alone: no creation in a slow token delays it.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::service::error::ServiceError;

/// The locks of all changes of keys.
#[derive(Clone, Debug, Default)]
pub(in crate::service) struct ChangeLock {
    changes: Arc<Mutex<()>>,
    states: Arc<Mutex<()>>,
}

/// A turn; it ends when dropped.
pub(in crate::service) type Turn = OwnedMutexGuard<()>;

impl ChangeLock {
    /// Waits for the turn to make or change something. While the token hangs, changes give up at their deadlines
    /// instead of piling up.
    pub(in crate::service) async fn acquire(&self, deadline: Instant) -> Result<Turn, ServiceError> {
        turn(&self.changes, deadline).await
    }

    /// Waits for the turn to change the state of a version. The token must not work meanwhile.
    pub(in crate::service) async fn acquire_states(&self, deadline: Instant) -> Result<Turn, ServiceError> {
        turn(&self.states, deadline).await
    }
}

async fn turn(lock: &Arc<Mutex<()>>, deadline: Instant) -> Result<Turn, ServiceError> {
    let turn = tokio::time::timeout_at(deadline.into(), Arc::clone(lock).lock_owned()).await;
    turn.map_err(|_| ServiceError::too_late())
}
