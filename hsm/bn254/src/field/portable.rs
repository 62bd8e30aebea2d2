//! The field's arithmetic in plain Rust, for every processor without the assembly. Not for choosing
//! between the two.
//!
//! The product is formed whole, in eight limbs, and then reduced (Koç, Acar, Kaliski, "Analyzing
//! and comparing Montgomery multiplication algorithms", 1996: SOS), so the only bounds are that the
//! product fits 512 bits and the result 256.

use super::backend::FieldBackend;
use super::limbs::{add_limbs, subtract_limbs};
use crate::constants::{Limbs, P, P_NEG_INV_64};
use crate::mask::Mask;

/// Plain Rust.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl FieldBackend for Portable {
    #[inline(never)]
    fn multiply(a: &Limbs, b: &Limbs) -> Limbs {
        reduce(&product(a, b))
    }

    #[inline(never)]
    fn square(a: &Limbs) -> Limbs {
        reduce(&product(a, a))
    }

    #[inline(never)]
    fn sum_of_products(a: &Limbs, b: &Limbs, c: &Limbs, d: &Limbs) -> Limbs {
        let ([x0, x1, x2, x3, x4, x5, x6, x7], [y0, y1, y2, y3, y4, y5, y6, y7]) =
            (product(a, b), product(c, d));
        let (t0, c) = x0.carrying_add(y0, false);
        let (t1, c) = x1.carrying_add(y1, c);
        let (t2, c) = x2.carrying_add(y2, c);
        let (t3, c) = x3.carrying_add(y3, c);
        let (t4, c) = x4.carrying_add(y4, c);
        let (t5, c) = x5.carrying_add(y5, c);
        let (t6, c) = x6.carrying_add(y6, c);
        let (t7, _) = x7.carrying_add(y7, c);
        reduce(&[t0, t1, t2, t3, t4, t5, t6, t7])
    }

    #[inline(always)]
    fn subtract_if_not_below(a: &Limbs, m: &Limbs) -> Limbs {
        let (difference, borrow) = subtract_limbs(a, m);
        Self::select(borrow, a, &difference)
    }

    #[inline(always)]
    fn subtract(a: &Limbs, b: &Limbs, m: &Limbs) -> Limbs {
        let (difference, borrow) = subtract_limbs(a, b);
        add_limbs(&difference, &m.map(|limb| limb & borrow.bits()))
    }

    #[inline(always)]
    fn half(a: &Limbs) -> Limbs {
        let odd = Mask::from_bit(a[0] & 1).bits();
        let [a0, a1, a2, a3] = add_limbs(a, &P.map(|limb| limb & odd));
        [(a0 >> 1) | (a1 << 63), (a1 >> 1) | (a2 << 63), (a2 >> 1) | (a3 << 63), a3 >> 1]
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
}

/// a·b in eight limbs.
#[inline(always)]
fn product(a: &Limbs, b: &Limbs) -> [u64; 8] {
    let (t0, row) = multiply_add(&[0; 4], a, b[0]);
    let (t1, row) = multiply_add(&row, a, b[1]);
    let (t2, row) = multiply_add(&row, a, b[2]);
    let (t3, [t4, t5, t6, t7]) = multiply_add(&row, a, b[3]);
    [t0, t1, t2, t3, t4, t5, t6, t7]
}

/// t + a·digit: the lowest limb and the four others.
#[inline(always)]
fn multiply_add(t: &Limbs, a: &Limbs, digit: u64) -> (u64, Limbs) {
    let (t0, c) = a[0].carrying_mul_add(digit, t[0], 0);
    let (t1, c) = a[1].carrying_mul_add(digit, t[1], c);
    let (t2, c) = a[2].carrying_mul_add(digit, t[2], c);
    let (t3, c) = a[3].carrying_mul_add(digit, t[3], c);
    (t0, [t1, t2, t3, c])
}

/// t/2^256 mod p: four times (low + m·p)/2^64 on the low half, with the m that makes its lowest
/// limb zero; then the high half.
#[inline(always)]
fn reduce(t: &[u64; 8]) -> Limbs {
    let [t0, t1, t2, t3, high @ ..] = t;
    let mut low = [*t0, *t1, *t2, *t3];
    for _ in 0..4 {
        (_, low) = multiply_add(&low, &P, low[0].wrapping_mul(P_NEG_INV_64));
    }
    add_limbs(&low, high)
}
