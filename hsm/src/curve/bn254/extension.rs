//! The quadratic extension c0 + c1·u, u² = −1, over which the twist of G2 is defined, and what the complete formulas need
//! of either field. Not for pairings.

use super::constants::TWIST_B3;
use super::field::{Element, Kernel};
use super::mask::Mask;

/// The operations of the complete formulas, over the field of G1 or of G2.
pub(super) trait Coordinate: Copy {
    const ZERO: Self;
    const ONE: Self;
    fn add(&self, other: &Self) -> Self;
    fn subtract(&self, other: &Self) -> Self;
    fn negate(&self) -> Self;
    fn multiply(&self, other: &Self) -> Self;
    /// a·b + c·d.
    fn sum_of_products(a: &Self, b: &Self, c: &Self, d: &Self) -> Self;
    /// 3b times this, b being the curve's constant.
    fn times_b3(&self) -> Self;
    fn select(mask: Mask, a: &Self, b: &Self) -> Self;
    fn invert(&self) -> Self;
}

impl<K: Kernel> Coordinate for Element<K> {
    const ZERO: Self = Element::ZERO;
    const ONE: Self = Element::ONE;

    #[inline(always)]
    fn add(&self, other: &Self) -> Self {
        Element::add(self, other)
    }
    #[inline(always)]
    fn subtract(&self, other: &Self) -> Self {
        Element::subtract(self, other)
    }
    #[inline(always)]
    fn negate(&self) -> Self {
        Element::negate(self)
    }
    #[inline(always)]
    fn multiply(&self, other: &Self) -> Self {
        Element::multiply(self, other)
    }
    #[inline(always)]
    fn sum_of_products(a: &Self, b: &Self, c: &Self, d: &Self) -> Self {
        Element::sum_of_products(a, b, c, d)
    }
    /// 9 = 3·3.
    #[inline(always)]
    fn times_b3(&self) -> Self {
        self.double().double().double().add(self)
    }
    #[inline(always)]
    fn select(mask: Mask, a: &Self, b: &Self) -> Self {
        Element::select(mask, a, b)
    }
    fn invert(&self) -> Self {
        Element::invert(self)
    }
}

/// c0 + c1·u.
#[derive(Clone, Copy)]
pub(super) struct Quadratic<K> {
    pub(super) c0: Element<K>,
    pub(super) c1: Element<K>,
}

impl<K> zeroize::Zeroize for Quadratic<K> {
    fn zeroize(&mut self) {
        self.c0.zeroize();
        self.c1.zeroize();
    }
}

impl<K: Kernel> Coordinate for Quadratic<K> {
    const ZERO: Self = Self { c0: Element::ZERO, c1: Element::ZERO };
    const ONE: Self = Self { c0: Element::ONE, c1: Element::ZERO };

    #[inline(always)]
    fn add(&self, other: &Self) -> Self {
        Self { c0: self.c0.add(&other.c0), c1: self.c1.add(&other.c1) }
    }
    #[inline(always)]
    fn subtract(&self, other: &Self) -> Self {
        Self { c0: self.c0.subtract(&other.c0), c1: self.c1.subtract(&other.c1) }
    }
    #[inline(always)]
    fn negate(&self) -> Self {
        Self { c0: self.c0.negate(), c1: self.c1.negate() }
    }
    #[inline(always)]
    fn multiply(&self, other: &Self) -> Self {
        Self {
            c0: Element::sum_of_products(&self.c0, &other.c0, &self.c1.negate(), &other.c1),
            c1: Element::sum_of_products(&self.c0, &other.c1, &self.c1, &other.c0),
        }
    }
    #[inline(always)]
    fn sum_of_products(a: &Self, b: &Self, c: &Self, d: &Self) -> Self {
        a.multiply(b).add(&c.multiply(d))
    }
    #[inline(always)]
    fn times_b3(&self) -> Self {
        let [c0, c1] = TWIST_B3;
        self.multiply(&Self { c0: Element::from_limbs(c0), c1: Element::from_limbs(c1) })
    }
    #[inline(always)]
    fn select(mask: Mask, a: &Self, b: &Self) -> Self {
        Self { c0: Element::select(mask, &a.c0, &b.c0), c1: Element::select(mask, &a.c1, &b.c1) }
    }
    /// (c0 − c1·u)/(c0² + c1²).
    fn invert(&self) -> Self {
        let norm = Element::sum_of_products(&self.c0, &self.c0, &self.c1, &self.c1).invert();
        Self { c0: self.c0.multiply(&norm), c1: self.c1.negate().multiply(&norm) }
    }
}
