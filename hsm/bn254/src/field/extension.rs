//! The quadratic extension c0 + c1·u, u² = −1, over which the twist of G2 is defined, and what the
//! complete formulas need of either field. Not for pairings.

use super::element::Arithmetic;
use crate::constants::TWIST_B3;
use crate::mask::Mask;

/// The operations of the complete formulas, over the field of G1 or of G2. Every value is at most
/// 2p.
pub(crate) trait Coordinate: Copy {
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
    /// This, or `other` if the mask is true, where this is 0.
    fn or_if(&self, mask: Mask, other: &Self) -> Self;
    fn invert(&self) -> Self;
}

impl<F: Arithmetic> Coordinate for F {
    const ZERO: Self = <F as Arithmetic>::ZERO;
    const ONE: Self = <F as Arithmetic>::ONE;

    #[inline(always)]
    fn add(&self, other: &Self) -> Self {
        Arithmetic::add(self, other)
    }
    #[inline(always)]
    fn subtract(&self, other: &Self) -> Self {
        Arithmetic::subtract(self, other)
    }
    #[inline(always)]
    fn negate(&self) -> Self {
        Arithmetic::negate(self)
    }
    #[inline(always)]
    fn multiply(&self, other: &Self) -> Self {
        Arithmetic::multiply(self, other)
    }
    #[inline(always)]
    fn sum_of_products(a: &Self, b: &Self, c: &Self, d: &Self) -> Self {
        <F as Arithmetic>::sum_of_products(a, b, c, d).reduce()
    }
    /// 9 = 3·3.
    #[inline(always)]
    fn times_b3(&self) -> Self {
        let eight = self.double().double().double();
        Arithmetic::add(&eight, self)
    }
    #[inline(always)]
    fn select(mask: Mask, a: &Self, b: &Self) -> Self {
        <F as Arithmetic>::select(mask, a, b)
    }
    #[inline(always)]
    fn or_if(&self, mask: Mask, other: &Self) -> Self {
        Arithmetic::or_if(self, mask, other)
    }
    fn invert(&self) -> Self {
        Arithmetic::invert(self)
    }
}

/// c0 + c1·u.
#[derive(Clone, Copy)]
pub(crate) struct Quadratic<F> {
    pub(crate) c0: F,
    pub(crate) c1: F,
}

impl<F: zeroize::Zeroize> zeroize::Zeroize for Quadratic<F> {
    fn zeroize(&mut self) {
        self.c0.zeroize();
        self.c1.zeroize();
    }
}

impl<F: Arithmetic> Coordinate for Quadratic<F> {
    const ZERO: Self = Self { c0: <F as Arithmetic>::ZERO, c1: <F as Arithmetic>::ZERO };
    const ONE: Self = Self { c0: <F as Arithmetic>::ONE, c1: <F as Arithmetic>::ZERO };

    #[inline(always)]
    fn add(&self, other: &Self) -> Self {
        Self { c0: Arithmetic::add(&self.c0, &other.c0), c1: Arithmetic::add(&self.c1, &other.c1) }
    }
    #[inline(always)]
    fn subtract(&self, other: &Self) -> Self {
        Self { c0: Arithmetic::subtract(&self.c0, &other.c0), c1: Arithmetic::subtract(&self.c1, &other.c1) }
    }
    #[inline(always)]
    fn negate(&self) -> Self {
        Self { c0: Arithmetic::negate(&self.c0), c1: Arithmetic::negate(&self.c1) }
    }
    #[inline(never)]
    fn multiply(&self, other: &Self) -> Self {
        Self {
            c0: Coordinate::sum_of_products(&self.c0, &other.c0, &Arithmetic::negate(&self.c1), &other.c1),
            c1: Coordinate::sum_of_products(&self.c0, &other.c1, &self.c1, &other.c0),
        }
    }
    #[inline(always)]
    fn sum_of_products(a: &Self, b: &Self, c: &Self, d: &Self) -> Self {
        Coordinate::add(&Coordinate::multiply(a, b), &Coordinate::multiply(c, d))
    }
    #[inline(always)]
    fn times_b3(&self) -> Self {
        let [c0, c1] = TWIST_B3;
        Coordinate::multiply(self, &Self { c0: F::constant(c0), c1: F::constant(c1) })
    }
    #[inline(always)]
    fn select(mask: Mask, a: &Self, b: &Self) -> Self {
        Self { c0: Arithmetic::select(mask, &a.c0, &b.c0), c1: Arithmetic::select(mask, &a.c1, &b.c1) }
    }
    #[inline(always)]
    fn or_if(&self, mask: Mask, other: &Self) -> Self {
        Self { c0: self.c0.or_if(mask, &other.c0), c1: self.c1.or_if(mask, &other.c1) }
    }
    /// (c0 − c1·u)/(c0² + c1²).
    fn invert(&self) -> Self {
        let norm = Coordinate::sum_of_products(&self.c0, &self.c0, &self.c1, &self.c1).invert();
        Self { c0: self.c0.multiply(&norm), c1: Arithmetic::negate(&self.c1).multiply(&norm) }
    }
}
