//! Stamps: what outcomes in the audit log say of the store, so that a start notices an older copy of it.
//!
//! The first outcome after a change has one, and one outcome every ten minutes, so that a start finds it near the end of
//! the log. Its MAC names the intent. Not for: finding them in the log (`audit_log`).

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::rows::Head;
use crate::store::cache::Store;
use crate::store::error::StoreError;

const STAMP: &str = "avs-kms/store/stamp/1";

/// A stamp without a change is made this often.
const INTERVAL: Duration = Duration::from_secs(600);

impl Store {
    /// Head and MAC for the outcome of this intent, if a stamp is due.
    pub fn stamp(&self, intent: u64) -> Option<(Head, [u8; 32])> {
        let head = self.shared().backend.head();
        let mut stamped = self.shared().stamped.lock().unwrap_or_else(PoisonError::into_inner);
        if stamped.is_some_and(|(counter, at)| counter == head.counter && at.elapsed() < INTERVAL) {
            return None;
        }
        *stamped = Some((head.counter, Instant::now()));
        drop(stamped);
        Some((head, self.shared().backend.key().mac(STAMP, &message(intent, &head))))
    }

    /// Whether this installation made the stamp for the outcome of this intent.
    pub fn has_made(&self, intent: u64, head: &Head, mac: &[u8; 32]) -> bool {
        self.shared().backend.key().verify(STAMP, &message(intent, head), mac)
    }

    /// The state after the last change.
    pub fn head(&self) -> Head {
        self.shared().backend.head()
    }

    /// Compares the store with the newest state that the audit log knows; without one, with the state after `init`.
    ///
    /// # Errors
    /// [`StoreError::RolledBack`] when the store is neither that state nor came from it; or the database fails.
    pub async fn check_follows(&self, known: Option<Head>) -> Result<(), StoreError> {
        let (counter, chain) = known.map_or((0, [0; 32]), |head| (head.counter, head.chain));
        if self.shared().backend.descends_from(counter, chain).await? {
            return Ok(());
        }
        Err(StoreError::RolledBack { found: self.head().counter, known: counter, chain: hex::encode(chain) })
    }

    /// Continues from an older copy of the store: later changes get numbers that the lost ones did not have.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn continue_after(&self, counter: u64) -> Result<(), StoreError> {
        self.write(move |shared| async move { shared.backend.skip_to(counter).await }).await
    }
}

fn message(intent: u64, head: &Head) -> Vec<u8> {
    [intent.to_be_bytes().as_slice(), &head.message()].concat()
}
