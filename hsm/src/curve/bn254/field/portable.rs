//! The field's arithmetic in plain Rust, for every processor without the assembly. Not for choosing between the two.
//!
//! Operand scanning with interleaved reduction (Koç, Acar, Kaliski, "Analyzing and comparing Montgomery multiplication
//! algorithms", 1996: CIOS). Bound: with the scanned operands a ≤ αp, c ≤ γp the accumulator after each row is
//! below (α + γ + 1)p, which must fit four limbs: α + γ + 1 < 5.2901. Here α + γ ≤ 4.

use super::super::constants::{Limbs, P, P_NEG_INV_64, P2};
use super::super::mask::Mask;
use super::{Kernel, add_limbs, subtract_limbs};

/// Plain Rust.
#[derive(Clone, Copy)]
pub(in super::super) struct Portable;

impl Kernel for Portable {
    #[inline(always)]
    fn multiply(a: &Limbs, b: &Limbs) -> Limbs {
        let mut t = [0; 4];
        for &digit in b {
            let (row, top) = multiply_add(&t, a, digit);
            t = reduce(&row, top);
        }
        t
    }

    #[inline(always)]
    fn square(a: &Limbs) -> Limbs {
        Self::multiply(a, a)
    }

    #[inline(always)]
    fn sum_of_products(a: &Limbs, b: &Limbs, c: &Limbs, d: &Limbs) -> Limbs {
        let mut t = [0; 4];
        for (&b_digit, &d_digit) in b.iter().zip(d) {
            let (row, top) = multiply_add(&t, a, b_digit);
            let (row, top_2) = multiply_add(&row, c, d_digit);
            t = reduce(&row, top.wrapping_add(top_2));
        }
        // 8/5.2901 + 1 = 2.513: once more is enough.
        Self::subtract_if_not_below(&t, &P2)
    }

    #[inline(always)]
    fn select(mask: Mask, a: &Limbs, b: &Limbs) -> Limbs {
        let (yes, no) = (mask.bits(), (!mask).bits());
        [
            (a[0] & yes) | (b[0] & no),
            (a[1] & yes) | (b[1] & no),
            (a[2] & yes) | (b[2] & no),
            (a[3] & yes) | (b[3] & no),
        ]
    }

    #[inline(always)]
    fn subtract_if_not_below(a: &Limbs, p2: &Limbs) -> Limbs {
        let (difference, borrow) = subtract_limbs(a, p2);
        Self::select(borrow, a, &difference)
    }

    #[inline(always)]
    fn subtract(a: &Limbs, b: &Limbs) -> Limbs {
        let (difference, borrow) = subtract_limbs(a, b);
        add_limbs(&difference, &P2.map(|limb| limb & borrow.bits()))
    }
}

/// t + a·digit in five limbs.
#[inline(always)]
fn multiply_add(t: &Limbs, a: &Limbs, digit: u64) -> (Limbs, u64) {
    let (t0, c) = a[0].carrying_mul_add(digit, t[0], 0);
    let (t1, c) = a[1].carrying_mul_add(digit, t[1], c);
    let (t2, c) = a[2].carrying_mul_add(digit, t[2], c);
    let (t3, c) = a[3].carrying_mul_add(digit, t[3], c);
    ([t0, t1, t2, t3], c)
}

/// (t + m·p)/2^64 with the m that makes the lowest limb zero.
#[inline(always)]
fn reduce(t: &Limbs, top: u64) -> Limbs {
    let m = t[0].wrapping_mul(P_NEG_INV_64);
    let (_, c) = m.carrying_mul_add(P[0], t[0], 0);
    let (t0, c) = m.carrying_mul_add(P[1], t[1], c);
    let (t1, c) = m.carrying_mul_add(P[2], t[2], c);
    let (t2, c) = m.carrying_mul_add(P[3], t[3], c);
    [t0, t1, t2, top.wrapping_add(c)]
}
