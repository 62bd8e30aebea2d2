//! The stack that multiplications run on.
#![allow(unsafe_code)] // part of the arena: switching stacks

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::map::Mapping;
use super::wipe::{wipe, wipe_registers};

/// Bytes of the stack that a multiplication runs on; the deepest one uses a small part of it.
pub(super) const STACK_LEN: usize = 64 * 1024;

/// The stack that code with a secret in its hands runs on.
pub(crate) struct Stack {
    pub(super) start: *mut u8,
    pub(super) mapping: Mapping,
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
        // SAFETY: STACK_LEN mapped bytes, page aligned, used by nothing else while borrowed.
        unsafe { run_on(self.start, STACK_LEN, section) }
    }

    pub(super) fn wipe(&mut self) {
        // SAFETY: mapped readable and writable, STACK_LEN long, and nothing runs on it while borrowed.
        wipe(unsafe { std::slice::from_raw_parts_mut(self.start, STACK_LEN) });
    }
}

/// Runs `section` on a stack and wipes stack and registers after it, also after a panic.
///
/// # Safety
/// `start` is page aligned and begins `length` mapped bytes that nothing else uses meanwhile.
pub(super) unsafe fn run_on<R>(
    start: *mut u8,
    length: usize,
    section: impl FnOnce() -> R,
) -> Result<R, Panicked> {
    let guarded = || catch_unwind(AssertUnwindSafe(section)).map_err(std::mem::forget);
    // SAFETY: what the caller promises; `guarded` does not unwind.
    let outcome = unsafe { psm::on_stack(start, length, guarded) };
    // SAFETY: the same bytes; nothing runs on them any more.
    wipe(unsafe { std::slice::from_raw_parts_mut(start, length) });
    wipe_registers();
    outcome.map_err(|()| Panicked)
}
