//! A secret that the process keeps for its whole life, in a guarded page of its own. Not for scalars.

use std::sync::{Mutex, PoisonError};

use super::map::{ArenaError, Mapping, SecretMemoryPolicy};
use super::slot::{CIPHER_STACK_LEN, SLOT_LEN, Slot};

/// A locked page that threads share; wiped when dropped.
pub(crate) struct SecretPage {
    page: Mutex<(Slot, Mapping)>,
}

impl SecretPage {
    /// A page that `fill` writes into.
    pub(crate) fn new(
        policy: SecretMemoryPolicy,
        fill: impl FnOnce(&mut [u8; SLOT_LEN]),
    ) -> Result<Self, ArenaError> {
        let mapping = Mapping::new(&[SLOT_LEN, CIPHER_STACK_LEN], policy)?;
        let mut slot = Slot { start: mapping.part(0), stack: mapping.part(1) };
        fill(slot.page());
        Ok(Self { page: Mutex::new((slot, mapping)) })
    }

    /// Reads the page; one thread at a time.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&[u8; SLOT_LEN]) -> R) -> R {
        read(self.page.lock().unwrap_or_else(PoisonError::into_inner).0.bytes())
    }
}

impl Drop for SecretPage {
    fn drop(&mut self) {
        self.page.get_mut().unwrap_or_else(PoisonError::into_inner).0.wipe();
    }
}
