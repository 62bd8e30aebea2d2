//! Complete formulas in homogeneous coordinates (x = X/Z, y = Y/Z): right for every pair of points,
//! infinity and equal points included. Not for the variable-base loop, where the cheaper formulas
//! are proven safe.
//!
//! Renes, Costello, Batina, "Complete addition formulas for prime order elliptic curves",
//! <https://eprint.iacr.org/2015/1060>, algorithm 8 (mixed, a = 0). They need a group without a
//! point of order 2: r is odd, and the twist's order is odd too (tested).

use zeroize::Zeroize;

use crate::field::Coordinate;
use crate::mask::Mask;

/// Homogeneous coordinates; infinity is (0 : 1 : 0).
#[derive(Clone, Copy)]
pub(crate) struct Homogeneous<F> {
    pub(crate) x: F,
    pub(crate) y: F,
    pub(crate) z: F,
}

impl<F: Zeroize> Zeroize for Homogeneous<F> {
    fn zeroize(&mut self) {
        self.x.zeroize();
        self.y.zeroize();
        self.z.zeroize();
    }
}

impl<F: Coordinate> Homogeneous<F> {
    pub(crate) const INFINITY: Self = Self { x: F::ZERO, y: F::ONE, z: F::ZERO };

    #[inline(always)]
    pub(crate) fn select(mask: Mask, a: &Self, b: &Self) -> Self {
        Self {
            x: F::select(mask, &a.x, &b.x),
            y: F::select(mask, &a.y, &b.y),
            z: F::select(mask, &a.z, &b.z),
        }
    }

    /// P + Q for an affine Q, which is never infinity. 5M and three sums of two products, plus 3b
    /// twice.
    #[inline(never)]
    pub(crate) fn add(&self, x2: &F, y2: &F) -> Self {
        let xx = self.x.multiply(x2);
        let yy = self.y.multiply(y2);
        // x1·y2 + x2·y1, y1 + y2·z1 and x1 + x2·z1.
        let xy = x2.add(y2).multiply(&self.x.add(&self.y)).subtract(&xx.add(&yy));
        let yz = y2.multiply(&self.z).add(&self.y);
        let xz = x2.multiply(&self.z).add(&self.x).times_b3();
        let xx3 = xx.add(&xx).add(&xx);
        let bz = self.z.times_b3();
        let sum = yy.add(&bz);
        let difference = yy.subtract(&bz);
        Self {
            x: F::sum_of_products(&xy, &difference, &yz.negate(), &xz),
            y: F::sum_of_products(&difference, &sum, &xz, &xx3),
            z: F::sum_of_products(&sum, &yz, &xx3, &xy),
        }
    }
}
