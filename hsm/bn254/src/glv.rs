//! A scalar k as k1 + k2·λ with halves below 2^127 (GLV), and their signed digits. Not for points.
//!
//! Gallant, Lambert, Vanstone, "Faster point multiplication on elliptic curves with efficient
//! endomorphisms" (2001), with Babai's rounding: (k, 0) minus the lattice vector c1·(N1, −M) +
//! c2·(M, N2), where c1 ≈ k·N2/r and c2 ≈ k·M/r.
//!
//! Bound: c1 is off k·N2/r by at most 1/2 for its own rounding and k/2^257 < 0.0945 for that of the
//! constant, and so is c2. So |k1|, |k2| ≤ 0.5945·(N2 + M) < 1.034·2^126 < 2^127: both halves are
//! right when computed mod 2^128, with the sign in bit 127.

use zeroize::Zeroize;

use crate::constants::{LATTICE_M, LATTICE_N1, LATTICE_N2, Limbs, ROUND_1, ROUND_2};
use crate::mask::{Mask, opaque};

/// One half: magnitude below 2^127 and sign.
pub(crate) struct Half {
    pub(crate) magnitude: u128,
    /// All ones if negative.
    pub(crate) negative: u64,
}

impl Zeroize for Half {
    fn zeroize(&mut self) {
        self.magnitude.zeroize();
        self.negative.zeroize();
    }
}

/// The halves of 0 ≤ k < r.
#[inline(always)]
pub(crate) fn split(k: &Limbs) -> [Half; 2] {
    let c1 = rounded_product(k, &ROUND_1);
    let c2 = rounded_product(k, &[ROUND_2[0], ROUND_2[1], 0]);
    let k_low = u128::from(k[0]) | u128::from(k[1]) << 64;
    let k1 = k_low.wrapping_sub(c1.wrapping_mul(LATTICE_N1)).wrapping_sub(c2.wrapping_mul(LATTICE_M));
    let k2 = c1.wrapping_mul(LATTICE_M).wrapping_sub(c2.wrapping_mul(LATTICE_N2));
    [half(k1), half(k2)]
}

/// A number mod 2^128 as magnitude and sign.
#[inline(always)]
fn half(value: u128) -> Half {
    let negative = opaque(0u64.wrapping_sub((value >> 127) as u64));
    let mask = u128::from(negative) | u128::from(negative) << 64;
    Half { magnitude: (value ^ mask).wrapping_sub(mask), negative }
}

/// (k·factor + 2^255) >> 256, which is below 2^128.
#[inline(always)]
fn rounded_product(k: &Limbs, factor: &[u64; 3]) -> u128 {
    // Rows of four limbs: t is always the part of the sum that later rows still reach.
    let mut t = [0u64; 4];
    let mut low = [0u64; 3];
    for (out, &digit) in low.iter_mut().zip(factor) {
        let (t0, c) = k[0].carrying_mul_add(digit, t[0], 0);
        let (t1, c) = k[1].carrying_mul_add(digit, t[1], c);
        let (t2, c) = k[2].carrying_mul_add(digit, t[2], c);
        let (t3, c) = k[3].carrying_mul_add(digit, t[3], c);
        *out = t0;
        t = [t1, t2, t3, c];
    }
    // Limb 3 is t[0]; its top bit is the half.
    let half = u128::from(t[0] >> 63);
    (u128::from(t[1]) | u128::from(t[2]) << 64).wrapping_add(half)
}

/// One signed digit, its magnitude at most 8.
#[derive(Clone, Copy)]
pub(crate) struct Digit {
    pub(crate) magnitude: u64,
    pub(crate) negative: Mask,
}

/// Booth's signed digit from the five bits that start one below its window: (bits + 1)/2, or that
/// minus 16.
#[inline(always)]
pub(crate) fn booth(bits: u64) -> Digit {
    let negative = Mask::from_bit(bits >> 4);
    let magnitude = (bits ^ (negative.bits() & 31)).wrapping_add(1) >> 1;
    Digit { magnitude, negative }
}

impl Half {
    /// Number of windows of four bits: magnitudes are below 2^127, so the last digit is not
    /// negative.
    pub(crate) const WINDOWS: u32 = 32;

    /// The signed digit of weight 16^window.
    #[inline(always)]
    pub(crate) fn digit(&self, window: u32) -> Digit {
        // Shifted by one so that window 0 reads a zero below bit 0.
        let bits = match window {
            0 => self.magnitude << 1,
            _ => self.magnitude >> (4 * window - 1),
        };
        let digit = booth(bits as u64 & 31);
        Digit { negative: digit.negative ^ Mask::from_bit(self.negative & 1), ..digit }
    }
}
