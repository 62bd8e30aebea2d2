//! Wiping of the stack below a multiplication. Not for registers: the owner of the stack clears
//! them.

/// Bytes of stack that a multiplication may have used below its caller; a test measures that they
/// are enough.
pub(crate) const STACK_USED: usize = 8 * 1024;

/// Overwrites what the multiplication that has just returned left on the stack: spilled registers
/// above all. What it held in variables it has wiped itself. Called from the frame that called the
/// multiplication, so both start at one depth.
#[inline(never)]
pub(crate) fn wipe_stack() {
    let mut area = [0u64; STACK_USED / 8];
    // The optimiser must assume that the zeros are read.
    core::hint::black_box(&mut area);
}
