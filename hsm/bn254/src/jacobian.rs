//! Point formulas for variable base, in Jacobian coordinates (x = X/Z², y = Y/Z³) on y² = x³ + b.
//! Not complete: each names its exceptional cases, and `mul` proves that they do not occur.
//!
//! No formula uses b, so a table whose points share one Z is a table of affine points on the
//! isomorphic curve y² = x³ + b·Z⁶ ("effective affine", Wuille's term in libsecp256k1).

use zeroize::Zeroize;

use crate::field::{Arithmetic, Element, FieldBackend};
use crate::mask::Mask;

/// Jacobian coordinates.
#[derive(Clone, Copy)]
pub(crate) struct Jacobian<F> {
    pub(crate) x: F,
    pub(crate) y: F,
    pub(crate) z: F,
}

/// Coordinates on the curve on which the table is affine.
#[derive(Clone, Copy)]
pub(crate) struct Affine<F> {
    pub(crate) x: F,
    pub(crate) y: F,
}

impl<F: Zeroize> Zeroize for Jacobian<F> {
    fn zeroize(&mut self) {
        self.x.zeroize();
        self.y.zeroize();
        self.z.zeroize();
    }
}

impl<F: Zeroize> Zeroize for Affine<F> {
    fn zeroize(&mut self) {
        self.x.zeroize();
        self.y.zeroize();
    }
}

impl<F: Arithmetic> Affine<F> {
    /// −P under a mask.
    #[inline(always)]
    pub(crate) fn negate_if(&self, mask: Mask) -> Self {
        Self { x: self.x, y: F::select(mask, &self.y.negate(), &self.y) }
    }
}

impl<F: Arithmetic> Jacobian<F> {
    #[inline(always)]
    pub(crate) fn select(mask: Mask, a: &Self, b: &Self) -> Self {
        Self {
            x: F::select(mask, &a.x, &b.x),
            y: F::select(mask, &a.y, &b.y),
            z: F::select(mask, &a.z, &b.z),
        }
    }

    /// 16P, all coordinates at most 2.14p. Right for every point, infinity (Z = 0) included, as no
    /// point has order 2.
    #[inline(always)]
    pub(crate) fn times_16(&self) -> Self {
        let point = self.double_negated().double_negated().double_negated().double_negated();
        Self { y: point.y.reduce(), ..point }
    }

    /// −2P: 2M + 3S + 1 fused.
    ///
    /// With L = 3X²/2, S = Y², T = X·S: X₃ = L² − 2T, Y₃ = S² + L(X₃ − T), Z₃ = Y·Z (Bernstein, Lange,
    /// Explicit-Formulas Database, a = 0, divided through by 2; the sign of Y₃ saves a negation and
    /// keeps the sum of products small).
    #[inline(never)] // one copy: as fast, and compiled once
    fn double_negated(&self) -> Self {
        let s = self.y.square();
        let xx = self.x.square();
        let l = xx.add_unreduced(&xx.half()).reduce();
        let t = self.x.multiply(&s);
        let x = l.square().subtract(&t.double());
        // Here, where it fills the wait for x.
        let z = self.y.multiply(&self.z);
        let y = F::sum_of_products(&l, &x.subtract(&t), &s, &s);
        Self { x, y, z }
    }

    /// P + Q: 6M + 3S + 1 fused. Wrong if P = ±Q or if P is infinity.
    ///
    /// With H = X₁ − x₂Z₁², R = Y₁ − y₂Z₁³, V = X₁H²: X₃ = R² + H³ − 2V, −Y₃ = R(X₃ − V) + Y₁H³, Z₃ = Z₁H:
    /// the usual mixed addition with both differences negated, which leaves fewer subtractions.
    #[inline(never)]
    pub(crate) fn add(&self, q: &Affine<F>) -> Self {
        let zz = self.z.square();
        let zzz = self.z.multiply(&zz);
        let h = self.x.subtract(&q.x.multiply(&zz));
        let r = self.y.subtract(&q.y.multiply(&zzz));
        let hh = h.square();
        let z = self.z.multiply(&h);
        let hhh = h.multiply(&hh);
        let v = self.x.multiply(&hh);
        let x = r.square().add_unreduced(&hhh).subtract_wide(&v.add_unreduced(&v)).reduce();
        let y = F::sum_of_products(&r, &x.subtract(&v), &self.y, &hhh).negate_wide();
        Self { x, y, z }
    }
}

impl<B: FieldBackend> Jacobian<Element<B>> {
    /// Affine coordinates x and y; both are 0 for infinity.
    pub(crate) fn to_affine(self) -> [Element<B>; 2] {
        let mut inverse = self.z.invert();
        let square = inverse.square();
        let affine = [self.x.multiply(&square), self.y.multiply(&square.multiply(&inverse))];
        inverse.zeroize();
        affine
    }
}

/// The multiples 1P to 8P with one common Z: 72 products. P must be affine with y ≠ 0 and of order
/// above 16.
///
/// Doubling with update (DBLU) and additions with update (ZADDU) of Goundar, Joye, Miyaji, "Co-Z
/// addition formulae and binary ladders", <https://eprint.iacr.org/2010/309>, after Meloni; the
/// idea of such a table is Longa's and Miri's, <https://eprint.iacr.org/2008/051>. ZADDU adds P and
/// jP with 2 ≤ j ≤ 7, which differ from each other and from each other's negative. Entry j is left
/// on the Z that it was made with; Z grows by a factor d per addition, so entry j is brought to the
/// last Z by the product of the later factors.
#[inline(never)]
pub(crate) fn multiples<F: Arithmetic>(p: &Affine<F>, table: &mut [Affine<F>; 8]) -> F {
    // DBLU: 2P, and P on the same Z = 2y.
    let xx = p.x.square();
    let e = p.y.square();
    let s = p.x.multiply(&e).double().double();
    let m = xx.double().add(&xx);
    let ee8 = e.square().double().double().double();
    let x = m.square().subtract(&s.double());
    let y = m.multiply(&s.subtract(&x)).subtract(&ee8);
    let mut last = Affine { x, y };
    let mut first = Affine { x: s, y: ee8 };
    let mut z = p.y.double();
    table[1] = last;

    let mut factors = [F::ONE; 8];
    for (entry, factor) in table.iter_mut().zip(&mut factors).skip(2) {
        // ZADDU: the sum, and P on its Z.
        let d = first.x.subtract(&last.x);
        let dd = d.square();
        let w1 = first.x.multiply(&dd);
        let w2 = last.x.multiply(&dd);
        let dy = first.y.subtract(&last.y);
        let a = first.y.multiply(&w1.subtract(&w2));
        let x = dy.square().subtract(&w1).subtract(&w2);
        let y = dy.multiply(&w1.subtract(&x)).subtract(&a);
        z = z.multiply(&d);
        first = Affine { x: w1, y: a };
        last = Affine { x, y };
        *entry = last;
        *factor = d;
    }
    table[0] = first;

    let mut scale = F::ONE;
    for (entry, factor) in table.iter_mut().skip(1).zip(factors.iter().skip(2)).rev() {
        scale = scale.multiply(factor);
        let square = scale.square();
        entry.x = entry.x.multiply(&square);
        entry.y = entry.y.multiply(&square.multiply(&scale));
    }
    z
}
