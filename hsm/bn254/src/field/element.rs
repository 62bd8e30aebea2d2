//! The field of p elements, Montgomery form, R = 2^256, constant time. Not for scalars, which are
//! integers mod r.
//!
//! Values are redundant: an [`Element`] is any of the numbers v + i·p below 2^256 = 5.2901p, and
//! each operation says what bound it needs and gives. A product of a ≤ αp and b ≤ βp, reduced once,
//! is below (αβ/5.2901 + 1)p: operands up to 2p give 1.757p without a final subtraction. That the
//! formulas respect all bounds is not argued but computed, by running them on bounds instead of
//! values (`bounds`, in the tests). Source of the method: Montgomery, "Modular multiplication
//! without trial division" (1985); Walter, "Montgomery exponentiation needs no final subtractions"
//! (1999).

use core::marker::PhantomData;

use super::backend::FieldBackend;
use super::inversion;
use super::limbs::{add_limbs, bytes_from_limbs, limbs_from_bytes, subtract_limbs};
use crate::constants::{CURVE_B, Limbs, ONE, P, P2, P4, R2};
use crate::mask::Mask;

/// What the point formulas are made of. The two implementations are [`Element`], which computes,
/// and a bound in the tests.
pub(crate) trait Arithmetic: Copy {
    const ZERO: Self;
    const ONE: Self;
    /// From limbs below 2p.
    fn constant(limbs: Limbs) -> Self;
    fn multiply(&self, other: &Self) -> Self;
    fn square(&self) -> Self;
    /// a·b + c·d with one reduction; a and c ≤ 4p.
    fn sum_of_products(a: &Self, b: &Self, c: &Self, d: &Self) -> Self;
    /// a + b as it is, below 2^256.
    fn add_unreduced(&self, other: &Self) -> Self;
    /// Up to 4p to at most 2p.
    fn reduce(&self) -> Self;
    /// a − b, plus 2p if that is negative: b ≤ 2p.
    fn subtract(&self, other: &Self) -> Self;
    /// a − b, plus 4p if that is negative: b ≤ 4p.
    fn subtract_wide(&self, other: &Self) -> Self;
    /// a/2: an odd value first gains p.
    fn half(&self) -> Self;
    /// 2p − a, for a ≤ 2p.
    fn negate(&self) -> Self;
    /// 2p − a or 4p − a, at most 2p, for a ≤ 4p.
    fn negate_wide(&self) -> Self;
    /// 1/a at most 2p, and 0 for 0.
    fn invert(&self) -> Self;
    /// a if the mask is true, else b.
    fn select(mask: Mask, a: &Self, b: &Self) -> Self;
    /// This, or `other` if the mask is true, where this is 0: for scans of tables, in which one
    /// mask at most is true.
    fn or_if(&self, mask: Mask, other: &Self) -> Self;

    /// a + b, at most 2p, for operands that are at most 2p.
    #[inline(always)]
    fn add(&self, other: &Self) -> Self {
        self.add_unreduced(other).reduce()
    }
    /// 2a, at most 2p, for operands that are at most 2p.
    #[inline(always)]
    fn double(&self) -> Self {
        self.add(self)
    }
}

/// An element of the field.
#[derive(Clone, Copy)]
pub(crate) struct Element<B> {
    pub(crate) limbs: Limbs,
    backend: PhantomData<B>,
}

impl<B> zeroize::Zeroize for Element<B> {
    fn zeroize(&mut self) {
        self.limbs.zeroize();
    }
}

impl<B: FieldBackend> Arithmetic for Element<B> {
    const ZERO: Self = Self::from_limbs([0; 4]);
    const ONE: Self = Self::from_limbs(ONE);

    #[inline(always)]
    fn constant(limbs: Limbs) -> Self {
        Self::from_limbs(limbs)
    }
    #[inline(always)]
    fn multiply(&self, other: &Self) -> Self {
        Self::from_limbs(B::multiply(&self.limbs, &other.limbs))
    }
    #[inline(always)]
    fn square(&self) -> Self {
        Self::from_limbs(B::square(&self.limbs))
    }
    #[inline(always)]
    fn sum_of_products(a: &Self, b: &Self, c: &Self, d: &Self) -> Self {
        Self::from_limbs(B::sum_of_products(&a.limbs, &b.limbs, &c.limbs, &d.limbs))
    }
    #[inline(always)]
    fn add_unreduced(&self, other: &Self) -> Self {
        Self::from_limbs(add_limbs(&self.limbs, &other.limbs))
    }
    #[inline(always)]
    fn reduce(&self) -> Self {
        Self::from_limbs(B::subtract_if_not_below(&self.limbs, &P2))
    }
    #[inline(always)]
    fn subtract(&self, other: &Self) -> Self {
        Self::from_limbs(B::subtract(&self.limbs, &other.limbs, &P2))
    }
    #[inline(always)]
    fn subtract_wide(&self, other: &Self) -> Self {
        Self::from_limbs(B::subtract(&self.limbs, &other.limbs, &P4))
    }
    #[inline(always)]
    fn half(&self) -> Self {
        Self::from_limbs(B::half(&self.limbs))
    }
    #[inline(always)]
    fn negate(&self) -> Self {
        Self::from_limbs(subtract_limbs(&P2, &self.limbs).0)
    }
    #[inline(always)]
    fn negate_wide(&self) -> Self {
        Self::from_limbs(B::subtract(&P2, &self.limbs, &P2))
    }
    fn invert(&self) -> Self {
        // The product of 1/x with R², reduced once, is R/x.
        Self::from_limbs(B::multiply(&R2, &inversion::invert(&self.canonical())))
    }
    #[inline(always)]
    fn select(mask: Mask, a: &Self, b: &Self) -> Self {
        Self::from_limbs(B::select(mask, &a.limbs, &b.limbs))
    }
    #[inline(always)]
    fn or_if(&self, mask: Mask, other: &Self) -> Self {
        let ([a0, a1, a2, a3], [b0, b1, b2, b3], mask) = (self.limbs, other.limbs, mask.bits());
        Self::from_limbs([a0 | (b0 & mask), a1 | (b1 & mask), a2 | (b2 & mask), a3 | (b3 & mask)])
    }
}

impl<B: FieldBackend> Element<B> {
    /// From limbs in Montgomery form.
    #[inline(always)]
    pub(crate) const fn from_limbs(limbs: Limbs) -> Self {
        Self { limbs, backend: PhantomData }
    }

    /// From 32 big-endian bytes, taken mod p: below 5.2901p · p/2^256 + p = 2p.
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self::from_limbs(B::multiply(&R2, &limbs_from_bytes(bytes)))
    }

    /// The integer below p.
    pub(crate) fn canonical(&self) -> Limbs {
        // A reduction of v < 2^256 gives at most p.
        B::subtract_if_not_below(&B::multiply(&self.limbs, &[1, 0, 0, 0]), &P)
    }

    /// The integer below p as 32 big-endian bytes.
    pub(crate) fn to_bytes(self) -> [u8; 32] {
        bytes_from_limbs(&self.canonical())
    }

    /// True for 0 mod p, which has several forms in the range.
    pub(crate) fn is_zero(&self) -> Mask {
        let [a0, a1, a2, a3] = self.canonical();
        Mask::is_zero(a0 | a1 | a2 | a3)
    }

    /// True for equal elements, both at most 2p.
    pub(crate) fn equals(&self, other: &Self) -> Mask {
        self.subtract(other).is_zero()
    }

    /// True if y² = x³ + 3, for coordinates at most 2p.
    pub(crate) fn is_on_curve(x: &Self, y: &Self) -> Mask {
        y.square().equals(&x.square().multiply(x).add(&Self::from_limbs(CURVE_B)))
    }
}

/// x ‖ y as big-endian integers.
pub(crate) fn concatenate<B: FieldBackend>(coordinates: &[Element<B>; 2]) -> [u8; 64] {
    let mut bytes = [0; 64];
    let (x, y) = bytes.split_at_mut(32);
    x.copy_from_slice(&coordinates[0].to_bytes());
    y.copy_from_slice(&coordinates[1].to_bytes());
    bytes
}
