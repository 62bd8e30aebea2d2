//! Object handles as the caller sees them: shifted, so that all that were given out can be made invalid at once.

use std::sync::atomic::{AtomicU64, Ordering};

use cryptoki_sys::CK_OBJECT_HANDLE;

/// Wider than the handles of the modules that are renumbered. craton-hsm's have 64 bits.
const STEP: u64 = 1 << 32;
/// Valid nowhere.
const INVALID: CK_OBJECT_HANDLE = CK_OBJECT_HANDLE::MAX;

static SHIFT: AtomicU64 = AtomicU64::new(0);

/// Every handle that is out becomes invalid.
pub(crate) fn renumber() {
    SHIFT.fetch_add(STEP, Ordering::SeqCst);
}

/// The real module's handle, as the caller gets it.
pub(crate) fn outward(handle: CK_OBJECT_HANDLE) -> CK_OBJECT_HANDLE {
    handle + SHIFT.load(Ordering::SeqCst)
}

/// The caller's handle, as the real module knows it.
pub(crate) fn inward(handle: CK_OBJECT_HANDLE) -> CK_OBJECT_HANDLE {
    let shift = SHIFT.load(Ordering::SeqCst);
    match handle.checked_sub(shift) {
        Some(real) if real < STEP || shift == 0 => real,
        _ => INVALID,
    }
}
