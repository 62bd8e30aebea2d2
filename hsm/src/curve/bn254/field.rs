//! The field of p elements, Montgomery form, R = 2^256, constant time. Not for scalars, which are integers mod r.
//!
//! An [`Element`] is any value in the redundant range 0..=2p; only [`Element::canonical`] gives the one below p.
//! R/p = 5.2901, so a product of a ≤ αp and b ≤ βp is below (αβ/5.2901 + 1)p: with α = β = 2 it is below 1.757p and
//! needs no final subtraction. Source of the method: Montgomery, "Modular multiplication without trial division" (1985);
//! the redundant range is Walter's, "Montgomery exponentiation needs no final subtractions" (1999).

use std::marker::PhantomData;

use super::constants::{B, Limbs, ONE, P, P2, R2};
use super::mask::Mask;

pub(super) mod portable;

/// The arithmetic on limbs that exists more than once: in portable Rust and in assembly, with identical results.
pub(super) trait Kernel: Copy + 'static {
    /// a·b/2^256 mod p, below 1.757p, for a and b ≤ 2p.
    fn multiply(a: &Limbs, b: &Limbs) -> Limbs;
    /// a²/2^256 mod p, below 1.757p, for a ≤ 2p.
    fn square(a: &Limbs) -> Limbs;
    /// (a·b + c·d)/2^256 mod p, ≤ 2p, for all four ≤ 2p.
    fn sum_of_products(a: &Limbs, b: &Limbs, c: &Limbs, d: &Limbs) -> Limbs;
    /// a if the mask is true, else b.
    fn select(mask: Mask, a: &Limbs, b: &Limbs) -> Limbs;
    /// a − p2 if that is not negative, else a; `p2` is p or 2p.
    fn subtract_if_not_below(a: &Limbs, p2: &Limbs) -> Limbs;
    /// a − b, plus 2p if that is negative.
    fn subtract(a: &Limbs, b: &Limbs) -> Limbs;
}

/// An element of the field: limbs in 0..=2p.
#[derive(Clone, Copy)]
pub(super) struct Element<K> {
    pub(super) limbs: Limbs,
    kernel: PhantomData<K>,
}

impl<K> zeroize::Zeroize for Element<K> {
    fn zeroize(&mut self) {
        self.limbs.zeroize();
    }
}

impl<K: Kernel> Element<K> {
    pub(super) const ZERO: Self = Self::from_limbs([0; 4]);
    pub(super) const ONE: Self = Self::from_limbs(ONE);

    /// From limbs in Montgomery form, ≤ 2p.
    #[inline(always)]
    pub(super) const fn from_limbs(limbs: Limbs) -> Self {
        Self { limbs, kernel: PhantomData }
    }

    /// From an integer below 2^256, which is taken mod p: 5.2901p · p / R + p = 2p.
    #[inline(always)]
    pub(super) fn from_integer(integer: &Limbs) -> Self {
        Self::from_limbs(K::multiply(&R2, integer))
    }

    /// From 32 big-endian bytes, taken mod p.
    pub(super) fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self::from_integer(&limbs_from_bytes(bytes))
    }

    /// The integer below p.
    pub(super) fn canonical(&self) -> Limbs {
        // A reduction of v < 2^256 gives at most p.
        K::subtract_if_not_below(&K::multiply(&self.limbs, &[1, 0, 0, 0]), &P)
    }

    /// The integer below p as 32 big-endian bytes.
    pub(super) fn to_bytes(self) -> [u8; 32] {
        bytes_from_limbs(&self.canonical())
    }

    #[inline(always)]
    pub(super) fn multiply(&self, other: &Self) -> Self {
        Self::from_limbs(K::multiply(&self.limbs, &other.limbs))
    }

    #[inline(always)]
    pub(super) fn square(&self) -> Self {
        Self::from_limbs(K::square(&self.limbs))
    }

    /// a·b + c·d with one reduction.
    #[inline(always)]
    pub(super) fn sum_of_products(a: &Self, b: &Self, c: &Self, d: &Self) -> Self {
        Self::from_limbs(K::sum_of_products(&a.limbs, &b.limbs, &c.limbs, &d.limbs))
    }

    /// 2p + 2p < 2^256, then ≤ 2p again by one subtraction.
    #[inline(always)]
    pub(super) fn add(&self, other: &Self) -> Self {
        Self::from_limbs(K::subtract_if_not_below(&add_limbs(&self.limbs, &other.limbs), &P2))
    }

    #[inline(always)]
    pub(super) fn double(&self) -> Self {
        self.add(self)
    }

    #[inline(always)]
    pub(super) fn subtract(&self, other: &Self) -> Self {
        Self::from_limbs(K::subtract(&self.limbs, &other.limbs))
    }

    /// 2p − a.
    #[inline(always)]
    pub(super) fn negate(&self) -> Self {
        Self::from_limbs(subtract_limbs(&P2, &self.limbs).0)
    }

    /// a/2: an odd value first gains p, so the result is ≤ 3p/2.
    #[inline(always)]
    pub(super) fn half(&self) -> Self {
        let odd = Mask::from_bit(self.limbs[0] & 1).bits();
        let [a0, a1, a2, a3] = add_limbs(&self.limbs, &P.map(|limb| limb & odd));
        Self::from_limbs([(a0 >> 1) | (a1 << 63), (a1 >> 1) | (a2 << 63), (a2 >> 1) | (a3 << 63), a3 >> 1])
    }

    #[inline(always)]
    pub(super) fn select(mask: Mask, a: &Self, b: &Self) -> Self {
        Self::from_limbs(K::select(mask, &a.limbs, &b.limbs))
    }

    /// True for 0 mod p, which has three forms in the range.
    pub(super) fn is_zero(&self) -> Mask {
        let [a0, a1, a2, a3] = self.canonical();
        Mask::is_zero(a0 | a1 | a2 | a3)
    }

    pub(super) fn equals(&self, other: &Self) -> Mask {
        self.subtract(other).is_zero()
    }

    /// True if y² = x³ + 3.
    pub(super) fn is_on_curve(x: &Self, y: &Self) -> Mask {
        y.square().equals(&x.square().multiply(x).add(&Self::from_limbs(B)))
    }
}

/// a + b, which must be below 2^256.
#[inline(always)]
pub(super) fn add_limbs(a: &Limbs, b: &Limbs) -> Limbs {
    let (s0, c) = a[0].carrying_add(b[0], false);
    let (s1, c) = a[1].carrying_add(b[1], c);
    let (s2, c) = a[2].carrying_add(b[2], c);
    let (s3, _) = a[3].carrying_add(b[3], c);
    [s0, s1, s2, s3]
}

/// a − b mod 2^256, and whether it borrowed.
#[inline(always)]
pub(super) fn subtract_limbs(a: &Limbs, b: &Limbs) -> (Limbs, Mask) {
    let (d0, c) = a[0].borrowing_sub(b[0], false);
    let (d1, c) = a[1].borrowing_sub(b[1], c);
    let (d2, c) = a[2].borrowing_sub(b[2], c);
    let (d3, c) = a[3].borrowing_sub(b[3], c);
    ([d0, d1, d2, d3], Mask::from_bit(u64::from(c)))
}

/// Big-endian bytes to limbs.
pub(super) fn limbs_from_bytes(bytes: &[u8; 32]) -> Limbs {
    let mut limbs = [0; 4];
    for (limb, chunk) in limbs.iter_mut().rev().zip(bytes.as_chunks::<8>().0) {
        *limb = u64::from_be_bytes(*chunk);
    }
    limbs
}

/// Limbs to big-endian bytes.
pub(super) fn bytes_from_limbs(limbs: &Limbs) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (chunk, limb) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(limbs.iter().rev()) {
        *chunk = limb.to_be_bytes();
    }
    bytes
}
