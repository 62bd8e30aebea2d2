//! Bodies of more than 4 KiB: at most 256 at a time, for the whole service.
//!
//! A login and a signed request are read before anyone knows who sends them. What they need fits into 4 KiB; without
//! this bound the streams of all connections together could hold gigabytes. Not for: the size of one body
//! (`extract::body`).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::service::{ErrorCode, ServiceError};

/// A body up to this size is small.
pub(crate) const SMALL_BYTES: usize = 4 * 1024;

/// Larger ones at a time: 16 MiB where each has its full 64 KiB.
const MAX_LARGE: usize = 256;

/// What a client waits that comes when all are taken.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The larger bodies that are held.
#[derive(Clone, Debug)]
pub(crate) struct LargeBodies(Arc<Semaphore>);

impl LargeBodies {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_LARGE)))
    }

    /// Takes a place for a body that has outgrown the small ones. No body waits for one: its bytes would be held meanwhile.
    pub(crate) fn enter(&self) -> Result<OwnedSemaphorePermit, ServiceError> {
        Arc::clone(&self.0).try_acquire_owned().map_err(|_| {
            let message = "too many large bodies at the same time; nothing was signed";
            ServiceError::new(ErrorCode::Overloaded, message).unrecorded().retry_after(RETRY_AFTER)
        })
    }
}
