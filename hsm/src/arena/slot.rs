//! The page that a secret is brought into, and a small stack beside it for the ciphers that work on it.
#![allow(unsafe_code)] // part of the arena: a page behind a pointer

use super::stack::run_on;
use super::wipe::wipe;

/// Bytes of the slot: a whole page, because modules demand a longer buffer than the 32 bytes they write.
pub(crate) const SLOT_LEN: usize = 4096;

/// Bytes of the stack beside the slot.
pub(super) const CIPHER_STACK_LEN: usize = 32 * 1024;

/// The page that a secret is brought into.
pub(crate) struct Slot {
    pub(super) start: *mut u8,
    /// CIPHER_STACK_LEN bytes.
    pub(super) stack: *mut u8,
}

// SAFETY: page and stack belong to this value alone, for as long as the arena that holds it.
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

    /// Runs a cipher on the page. Its stack, guarded like the page, and the registers are wiped after it. After a panic
    /// the process ends: whatever state led there held a secret.
    pub(crate) fn run<R>(&mut self, section: impl FnOnce(&mut [u8; SLOT_LEN]) -> R) -> R {
        let stack = self.stack;
        let page = self.page();
        // SAFETY: CIPHER_STACK_LEN mapped bytes, page aligned, used by nothing else while `self` is borrowed.
        match unsafe { run_on(stack, CIPHER_STACK_LEN, || section(page)) } {
            Ok(result) => result,
            Err(panicked) => {
                self.wipe();
                tracing::error!(?panicked, "a cipher panicked; slot and stack are wiped, the process ends");
                std::process::abort()
            }
        }
    }

    /// Overwrites the page with zeros; never optimised away.
    pub(crate) fn wipe(&mut self) {
        wipe(self.page());
    }
}
