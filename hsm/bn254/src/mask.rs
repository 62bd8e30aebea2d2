//! Masks and selections: the only way that a secret condition acts in this crate. Not for public
//! conditions.
#![allow(unsafe_code)] // an empty asm block: the one barrier that the optimiser is documented to respect

use core::ops::{BitAnd, BitOr, BitXor, Not};

/// All ones (true) or all zeros (false), opaque to the optimiser, which therefore cannot turn it
/// back into a branch.
#[derive(Clone, Copy)]
pub(crate) struct Mask(u64);

impl Mask {
    /// Never.
    pub(crate) const FALSE: Self = Self(0);

    /// True for 1, false for 0; `bit` must be one of these.
    #[inline(always)]
    pub(crate) fn from_bit(bit: u64) -> Self {
        Self(opaque(0u64.wrapping_sub(bit)))
    }

    /// True if `value` is 0.
    #[inline(always)]
    pub(crate) fn is_zero(value: u64) -> Self {
        // The top bit of v | −v is set for every v but 0.
        Self::from_bit(((value | 0u64.wrapping_sub(value)) >> 63) ^ 1)
    }

    /// True if `a == b`.
    #[inline(always)]
    pub(crate) fn equal(a: u64, b: u64) -> Self {
        Self::is_zero(a ^ b)
    }

    /// All ones or all zeros.
    #[inline(always)]
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    /// As a `Choice`, for callers outside the curve.
    #[inline(always)]
    pub(crate) fn choice(self) -> subtle::Choice {
        subtle::Choice::from((self.0 & 1) as u8)
    }
}

impl BitAnd for Mask {
    type Output = Self;
    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for Mask {
    type Output = Self;
    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitXor for Mask {
    type Output = Self;
    #[inline(always)]
    fn bitxor(self, other: Self) -> Self {
        Self(self.0 ^ other.0)
    }
}

impl Not for Mask {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        Self(!self.0)
    }
}

/// `value`, of which the optimiser knows nothing any more.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline(always)]
pub(crate) fn opaque(mut value: u64) -> u64 {
    // SAFETY: no instruction; it claims to change one register.
    unsafe {
        core::arch::asm!("/* {0} */", inout(reg) value, options(pure, nomem, nostack, preserves_flags))
    };
    value
}

/// `value`, of which the optimiser is asked to know nothing any more.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[inline(always)]
pub(crate) fn opaque(value: u64) -> u64 {
    core::hint::black_box(value)
}
