//! The shipped formulas run on bounds instead of values: every intermediate result fits, for every
//! scalar and point.
//!
//! A [`Bound`] represents all numbers up to it. A selection keeps the larger of both, so one run
//! covers both outcomes of every secret condition. Not for values: `against_arkworks` has them.

use zeroize::Zeroize;

use super::inputs::big;
use crate::constants::{LATTICE_M, LATTICE_N1, LATTICE_N2, Limbs, P};
use crate::field::{Arithmetic, Quadratic};
use crate::fixed_base;
use crate::jacobian::Jacobian;
use crate::mask::Mask;
use crate::mul::multiply_jacobian;

/// An upper bound in units of p/2^32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Bound(u128);

const UNIT: u128 = 1 << 32;

/// ⌊2^256/(p/2^32)⌋: values must stay below it.
fn capacity() -> u128 {
    let units = (num_bigint::BigUint::from(1u8) << (256u32 + 32)) / big(&P);
    units.try_into().unwrap()
}

impl Bound {
    const P2: Self = Self(2 * UNIT);
    const P4: Self = Self(4 * UNIT);

    fn fitting(self) -> Self {
        assert!(self.0 < capacity(), "{} p does not fit 256 bits", self.0 as f64 / UNIT as f64);
        self
    }

    fn at_most(self, limit: Self) -> Self {
        assert!(
            self <= limit,
            "{} p is above {} p",
            self.0 as f64 / UNIT as f64,
            limit.0 as f64 / UNIT as f64
        );
        self
    }

    /// The sum of products over 2^256, rounded up, plus (1 + 2^-30)p.
    fn reduction(sum: u128) -> Self {
        Self(sum.div_ceil(capacity()) + UNIT + 4).fitting()
    }
}

impl Zeroize for Bound {
    fn zeroize(&mut self) {}
}

impl Arithmetic for Bound {
    const ZERO: Self = Self(0);
    const ONE: Self = Self(UNIT);

    fn constant(limbs: Limbs) -> Self {
        assert!(big(&limbs) < big(&P));
        Self(UNIT)
    }
    fn multiply(&self, other: &Self) -> Self {
        Self::reduction(self.0 * other.0)
    }
    fn square(&self) -> Self {
        Self::reduction(self.0 * self.0)
    }
    fn sum_of_products(a: &Self, b: &Self, c: &Self, d: &Self) -> Self {
        Self::reduction(a.at_most(Self::P4).0 * b.0 + c.at_most(Self::P4).0 * d.0)
    }
    fn add_unreduced(&self, other: &Self) -> Self {
        Self(self.0 + other.0).fitting()
    }
    fn reduce(&self) -> Self {
        (*self).at_most(Self::P4).min(Self::P2)
    }
    fn subtract(&self, other: &Self) -> Self {
        other.at_most(Self::P2);
        (*self).max(Self::P2)
    }
    fn subtract_wide(&self, other: &Self) -> Self {
        other.at_most(Self::P4);
        (*self).max(Self::P4)
    }
    fn half(&self) -> Self {
        Self((Self(self.0 + UNIT).fitting().0).div_ceil(2))
    }
    fn negate(&self) -> Self {
        (*self).at_most(Self::P2);
        Self::P2
    }
    fn negate_wide(&self) -> Self {
        (*self).at_most(Self::P4);
        Self::P2
    }
    fn invert(&self) -> Self {
        self.fitting();
        Self::P2
    }
    fn select(_: Mask, a: &Self, b: &Self) -> Self {
        (*a).max(*b)
    }
    fn or_if(&self, _: Mask, other: &Self) -> Self {
        (*self).max(*other)
    }
}

#[test]
fn no_intermediate_result_of_the_variable_base_leaves_its_range() {
    let largest = Jacobian { x: Bound::P2, y: Bound::P2, z: Bound::P2 };
    let result = multiply_jacobian(&[0; 4], &largest);
    // What `affine` multiplies with the inverse, and what the fault check compares.
    for coordinate in [result.x, result.y, result.z] {
        coordinate.at_most(Bound::P2);
    }
}

#[test]
fn no_intermediate_result_of_the_fixed_bases_leaves_its_range() {
    let g1 = [[[Bound(UNIT * 2); 2]; 8]; 64];
    for coordinate in fixed_base::multiply(&[0; 4], &g1, |entry| *entry) {
        coordinate.at_most(Bound::P2);
    }
    let entry = Quadratic { c0: Bound::P2, c1: Bound::P2 };
    for coordinate in fixed_base::multiply(&[0; 4], &[[[entry; 2]; 8]; 64], |entry| *entry) {
        coordinate.c0.at_most(Bound::P2);
        coordinate.c1.at_most(Bound::P2);
    }
}

/// The bounds would notice: a square of an unreduced sum twice over does not fit.
#[test]
#[should_panic(expected = "does not fit 256 bits")]
fn a_value_that_outgrows_its_range_is_noticed() {
    let four = Bound::P2.add_unreduced(&Bound::P2);
    four.multiply(&four).add_unreduced(&four);
}

/// Both halves stay below 2^127 by the bound of `glv`: 0.5945·(N2 + M) < 1.034·2^126.
#[test]
fn the_halves_fit_their_windows() {
    let bound = (LATTICE_N2 + LATTICE_M) / 10_000 * 5945;
    assert!(bound < (1u128 << 126) / 1000 * 1034);
    assert!(LATTICE_N1 > bound);
}
