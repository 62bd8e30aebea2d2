//! Time of the last signature of each version, for monitoring.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use hsm::KeyId;
use jiff::Timestamp;

/// When each version signed last, since the start of the process.
#[derive(Debug, Default)]
pub(in crate::service) struct LastSignatures(RwLock<HashMap<KeyId, Timestamp>>);

impl LastSignatures {
    pub(in crate::service) fn set(&self, id: KeyId, at: Timestamp) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(id, at);
    }

    pub(in crate::service) fn of(&self, id: KeyId) -> Option<Timestamp> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&id).copied()
    }
}
