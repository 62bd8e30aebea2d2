//! Guarded memory for secrets: a slot and a stack per thread that no other process reads, that are in no dump and in
//! no fork, and that are wiped after every use. Not for what the secrets are.
//!
//! Layout, lowest address first, one reservation: `guard | slot 4 KiB | guard | stack 64 KiB | guard`. An overrun of either
//! hits an unmapped page. The data pages are `memfd_secret(2)` where the kernel has it, else anonymous locked pages
//! left out of dumps; both are not inherited by a fork.
#![allow(unsafe_code)] // memory mapping, stack switching and wiping; one of the three rooms for `unsafe`

use std::panic::{AssertUnwindSafe, catch_unwind};

mod map;
mod pin;
mod signals;
mod wipe;

use map::Mapping;
pub(crate) use map::SecretMemoryPolicy;
pub use map::{ArenaError, SecretMemory};
pub(crate) use pin::{Pin, PinReadError};
pub(crate) use signals::block_signals;
use wipe::{wipe, wipe_registers};

/// Bytes of the slot: a whole page, because modules want room for more than the 32 bytes they write.
pub(crate) const SLOT_LEN: usize = 4096;
/// Bytes of the stack that a multiplication runs on; the deepest one uses a small part of it.
const STACK_LEN: usize = 64 * 1024;

/// Guarded memory of one thread.
pub(crate) struct Arena {
    slot: Slot,
    stack: Stack,
}

impl Arena {
    /// Maps, locks and touches it.
    pub(crate) fn new(policy: SecretMemoryPolicy) -> Result<Self, ArenaError> {
        let mapping = Mapping::new(&[SLOT_LEN, STACK_LEN], policy)?;
        let (slot, stack) = (mapping.part(0), mapping.part(1));
        Ok(Self { slot: Slot { start: slot }, stack: Stack { start: stack, mapping } })
    }

    /// What the kernel gave.
    pub(crate) fn kind(&self) -> SecretMemory {
        self.stack.mapping.kind()
    }

    /// Slot and stack, to be used together.
    pub(crate) fn parts(&mut self) -> (&mut Slot, &mut Stack) {
        (&mut self.slot, &mut self.stack)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        self.slot.wipe();
        self.stack.wipe();
    }
}

/// The page that a secret is brought into.
pub(crate) struct Slot {
    start: *mut u8,
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

/// The stack that code with a secret in its hands runs on.
pub(crate) struct Stack {
    start: *mut u8,
    mapping: Mapping,
}

// SAFETY: the pages belong to this value alone.
unsafe impl Send for Stack {}

/// The closure panicked; stack and registers are wiped. The process must not go on.
#[derive(Debug)]
pub(crate) struct Panicked;

impl Stack {
    /// Runs `section` on this stack and wipes stack and registers after it, also after a panic.
    ///
    /// A panic is caught before the switch back: nothing unwinds across it. `R` must be public.
    pub(crate) fn run<R>(&mut self, section: impl FnOnce() -> R) -> Result<R, Panicked> {
        let guarded = || catch_unwind(AssertUnwindSafe(section)).map_err(std::mem::forget);
        // SAFETY: STACK_LEN mapped bytes, page aligned, used by nothing else while borrowed; `guarded` does not unwind.
        let outcome = unsafe { psm::on_stack(self.start, STACK_LEN, guarded) };
        self.wipe();
        wipe_registers();
        outcome.map_err(|()| Panicked)
    }

    fn wipe(&mut self) {
        // SAFETY: mapped readable and writable, STACK_LEN long, and nothing runs on it while borrowed.
        wipe(unsafe { std::slice::from_raw_parts_mut(self.start, STACK_LEN) });
    }
}

#[cfg(test)]
mod tests;
