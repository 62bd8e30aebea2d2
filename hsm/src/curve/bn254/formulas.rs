//! Point formulas for variable base, in Jacobian coordinates (x = X/Z², y = Y/Z³) on y² = x³ + b. Not complete: each says
//! what it must not be given, and `variable_base` proves that it never is.
//!
//! No formula uses b, so a table whose points share one Z is a table of affine points on the isomorphic curve
//! y² = x³ + b·Z⁶ ("effective affine", Wuille's term in libsecp256k1).

use super::field::{Element, Kernel};
use super::mask::Mask;
use zeroize::Zeroize;

/// Jacobian coordinates.
#[derive(Clone, Copy)]
pub(super) struct Jacobian<K> {
    pub(super) x: Element<K>,
    pub(super) y: Element<K>,
    pub(super) z: Element<K>,
}

/// Coordinates on the curve on which the table is affine.
#[derive(Clone, Copy)]
pub(super) struct Affine<K> {
    pub(super) x: Element<K>,
    pub(super) y: Element<K>,
}

impl<K> Zeroize for Jacobian<K> {
    fn zeroize(&mut self) {
        self.x.zeroize();
        self.y.zeroize();
        self.z.zeroize();
    }
}

impl<K> Zeroize for Affine<K> {
    fn zeroize(&mut self) {
        self.x.zeroize();
        self.y.zeroize();
    }
}

impl<K: Kernel> Affine<K> {
    #[inline(always)]
    pub(super) fn select(mask: Mask, a: &Self, b: &Self) -> Self {
        Self { x: Element::select(mask, &a.x, &b.x), y: Element::select(mask, &a.y, &b.y) }
    }

    /// −P under a mask.
    #[inline(always)]
    pub(super) fn negate_if(&self, mask: Mask) -> Self {
        Self { x: self.x, y: Element::select(mask, &self.y.negate(), &self.y) }
    }
}

impl<K: Kernel> Jacobian<K> {
    #[inline(always)]
    pub(super) fn select(mask: Mask, a: &Self, b: &Self) -> Self {
        Self {
            x: Element::select(mask, &a.x, &b.x),
            y: Element::select(mask, &a.y, &b.y),
            z: Element::select(mask, &a.z, &b.z),
        }
    }

    /// 2P: 2M + 3S + 1 fused. Holds for every point, infinity (Z = 0) included, as no point has order 2.
    ///
    /// The tangent's slope over Z is L = 3X²/2, S = Y², T = X·S: X₃ = L² − 2T, Y₃ = L(T − X₃) − S², Z₃ = Y·Z
    /// (Bernstein, Lange, Explicit-Formulas Database, a = 0; divided through by 2).
    #[inline(always)]
    pub(super) fn double(&self) -> Self {
        let s = self.y.square();
        let xx = self.x.square();
        let l = xx.add(&xx.half());
        let t = self.x.multiply(&s);
        let x = l.square().subtract(&t.double());
        let y = Element::sum_of_products(&l, &t.subtract(&x), &s.negate(), &s);
        Self { x, y, z: self.y.multiply(&self.z) }
    }

    /// P + Q: 6M + 3S + 1 fused. Wrong if P = ±Q or if P is infinity.
    #[inline(always)]
    pub(super) fn add(&self, q: &Affine<K>) -> Self {
        let zz = self.z.square();
        let h = q.x.multiply(&zz).subtract(&self.x);
        let r = q.y.multiply(&self.z.multiply(&zz)).subtract(&self.y);
        let hh = h.square();
        let hhh = h.multiply(&hh);
        let v = self.x.multiply(&hh);
        let x = r.square().subtract(&hhh).subtract(&v.double());
        let y = Element::sum_of_products(&r, &v.subtract(&x), &self.y.negate(), &hhh);
        Self { x, y, z: self.z.multiply(&h) }
    }
}

/// The multiples 1P to 8P with one common Z: 72 products. P must be affine with y ≠ 0 and of order above 16.
///
/// Doubling with update (DBLU) and additions with update (ZADDU) of Goundar, Joye, Miyaji, "Co-Z addition formulae and
/// binary ladders", <https://eprint.iacr.org/2010/309>, after Meloni; the idea of such a table is Longa's and Miri's,
/// <https://eprint.iacr.org/2008/051>. ZADDU adds P and jP with 2 ≤ j ≤ 7, which differ from each other and from each
/// other's negative. Entry j is left on the Z that it was made with; Z grows by a factor d per addition, so entry j
/// is brought to the last Z by the product of the later factors.
#[inline(always)]
pub(super) fn multiples<K: Kernel>(p: &Affine<K>, table: &mut [Affine<K>; 8]) -> Element<K> {
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

    let mut factors = [Element::ONE; 8];
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

    let mut scale = Element::ONE;
    for (entry, factor) in table.iter_mut().skip(1).zip(factors.iter().skip(2)).rev() {
        scale = scale.multiply(factor);
        let square = scale.square();
        entry.x = entry.x.multiply(&square);
        entry.y = entry.y.multiply(&square.multiply(&scale));
    }
    z
}
