//! Guarded memory for secrets: a slot and a stack per thread that no other process reads, that are in no dump and in
//! no fork, and that are wiped after every use. Not for what the secrets are.
//!
//! Layout, lowest address first, one reservation: `guard | slot 4 KiB | guard | stack 64 KiB | guard | stack of the
//! ciphers 32 KiB | guard`. An overrun of any hits an unmapped page. The data pages are `memfd_secret(2)` where the kernel has it, else anonymous locked pages
//! left out of dumps; both are not inherited by a fork.

mod map;
mod pin;
mod secret_page;
mod signals;
mod slot;
mod stack;
mod wipe;

use map::Mapping;
pub(crate) use map::SecretMemoryPolicy;
pub use map::{ArenaError, SecretMemory};
pub(crate) use pin::{Pin, PinReadError};
pub(crate) use secret_page::SecretPage;
pub(crate) use signals::block_signals;
use slot::CIPHER_STACK_LEN;
pub(crate) use slot::{SLOT_LEN, Slot};
use stack::STACK_LEN;
pub(crate) use stack::Stack;

/// Guarded memory of one thread.
pub(crate) struct Arena {
    slot: Slot,
    stack: Stack,
}

impl Arena {
    /// Maps, locks and touches it.
    pub(crate) fn new(policy: SecretMemoryPolicy) -> Result<Self, ArenaError> {
        let mapping = Mapping::new(&[SLOT_LEN, STACK_LEN, CIPHER_STACK_LEN], policy)?;
        let (start, stack, cipher) = (mapping.part(0), mapping.part(1), mapping.part(2));
        Ok(Self { slot: Slot { start, stack: cipher }, stack: Stack { start: stack, mapping } })
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

#[cfg(test)]
mod tests;
