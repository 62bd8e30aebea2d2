//! What a field implementation provides: arithmetic on limbs, with bounds. Not for values:
//! `element` has them.

use crate::constants::Limbs;
use crate::mask::Mask;

/// The arithmetic on limbs that exists more than once: in portable Rust and in assembly. All
/// results are congruent mod p.
pub(crate) trait FieldBackend: Copy + 'static {
    /// a·b/2^256 mod p, below a·b/2^256 + (1 + 2^-62)p, which must be below 2^256.
    fn multiply(a: &Limbs, b: &Limbs) -> Limbs;
    /// a²/2^256 mod p, bounded as a product.
    fn square(a: &Limbs) -> Limbs;
    /// (a·b + c·d)/2^256 mod p, below (a·b + c·d)/2^256 + (1 + 2^-62)p, which must be below 2^256;
    /// a and c ≤ 4p.
    fn sum_of_products(a: &Limbs, b: &Limbs, c: &Limbs, d: &Limbs) -> Limbs;
    /// a − m if that is not negative, else a.
    fn subtract_if_not_below(a: &Limbs, m: &Limbs) -> Limbs;
    /// a − b, plus m if that is negative.
    fn subtract(a: &Limbs, b: &Limbs, m: &Limbs) -> Limbs;
    /// a/2 for an even a, (a + p)/2 for an odd one; a + p is below 2^256.
    fn half(a: &Limbs) -> Limbs;
    /// a if the mask is true, else b.
    fn select(mask: Mask, a: &Limbs, b: &Limbs) -> Limbs;
}
