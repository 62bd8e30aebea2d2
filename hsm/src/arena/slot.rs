//! The page that a secret is brought into.
#![allow(unsafe_code)] // part of the arena: a page behind a pointer

use super::wipe::wipe;

/// Bytes of the slot: a whole page, because modules demand a longer buffer than the 32 bytes they write.
pub(crate) const SLOT_LEN: usize = 4096;

/// The page that a secret is brought into.
pub(crate) struct Slot {
    pub(super) start: *mut u8,
}

// SAFETY: the page belongs to this value alone, for as long as the arena that holds it.
unsafe impl Send for Slot {}

impl Slot {
    /// The whole page, for the module or a generator to write into.
    pub(crate) fn page(&mut self) -> &mut [u8; SLOT_LEN] {
        // SAFETY: mapped readable and writable, SLOT_LEN long, borrowed from the only owner.
        unsafe { &mut *self.start.cast() }
    }

    /// The same, to read.
    pub(crate) fn bytes(&self) -> &[u8; SLOT_LEN] {
        // SAFETY: mapped readable, SLOT_LEN long, borrowed from the only owner.
        unsafe { &*self.start.cast_const().cast() }
    }

    /// Overwrites the page with zeros; never optimised away.
    pub(crate) fn wipe(&mut self) {
        wipe(self.page());
    }
}
