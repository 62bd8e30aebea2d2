//! Checks of a product before it is returned: a faulty one can reveal the scalar. Not for
//! correcting faults.
//!
//! Biehl, Meyer, Müller, "Differential fault attacks on elliptic curve cryptosystems" (2000): a
//! result off the curve reveals information about k. Blömer, Otto, Seifert, "Sign change fault attacks on
//! elliptic curve cryptosystems", <https://eprint.iacr.org/2004/227>: so does a
//! result that stays on it. The linear check detects both.

use zeroize::Zeroize;

use crate::affine::G1Point;
use crate::field::{Arithmetic, Element, FieldBackend, Portable, concatenate, dispatch, limbs_from_bytes};
use crate::jacobian::Jacobian;
use crate::mask::Mask;
use crate::mul::{blinding_factor, multiply, multiply_jacobian, randomised};
use crate::projective::Homogeneous;
use crate::scalar::SCALAR_LEN;
use crate::stack::wipe_stack;

/// Check of a product before it is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultCheck {
    /// A second multiplication by a masked point proves the product against the public key: catches
    /// a fault in the scalar and in the computation. About twice the cost.
    Linear,
    /// The product is on the curve.
    Curve,
}

/// A result did not pass its check: nothing of it may be released, and the key must not be used
/// again before it is examined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The result is not a point of the curve.
    #[error("the result of the multiplication is not on the curve")]
    OffCurve,
    /// sk·(P + G1) − sk·P is not the public key that belongs to sk.
    #[error("the result of the multiplication does not agree with the public key")]
    Mismatch,
}

/// k·P as x ‖ y, big-endian, for a scalar in range, released only if it passes `check`.
///
/// `g1_public` is the stored public key k·G1. `blinding` is 32 fresh random bytes that randomise
/// the coordinates of the whole computation; every value is safe.
///
/// # Errors
/// [`Fault`] if the product does not pass.
pub fn multiply_checked(
    k: &[u8; SCALAR_LEN],
    p: &G1Point,
    g1_public: &G1Point,
    check: FaultCheck,
    blinding: &[u8; 32],
) -> Result<[u8; 64], Fault> {
    match check {
        FaultCheck::Linear => multiply_linear_checked(k, p, g1_public, blinding),
        FaultCheck::Curve => multiply_curve_checked(k, p, blinding),
    }
}

/// k·P, released only if it is on the curve. Arguments as in [`multiply`].
pub(crate) fn multiply_curve_checked(
    k: &[u8; SCALAR_LEN],
    p: &G1Point,
    blinding: &[u8; 32],
) -> Result<[u8; 64], Fault> {
    let mut result = multiply(k, p, blinding);
    let (x, y) = halves(&result);
    let on_curve = Element::<Portable>::is_on_curve(&Element::from_bytes(&x), &Element::from_bytes(&y));
    release(&mut result, on_curve, !Mask::FALSE)
}

/// k·P, released only if it is on the curve and k·(P + G1) − k·P is `g1_public`, the stored k·G1.
///
/// This finds a transient fault in either multiplication and a scalar that no longer belongs to the
/// public key, whatever the fault is, unless two faults agree. Costs a second multiplication.
/// Arguments as in [`multiply`].
pub(crate) fn multiply_linear_checked(
    k: &[u8; SCALAR_LEN],
    p: &G1Point,
    g1_public: &G1Point,
    blinding: &[u8; 32],
) -> Result<[u8; 64], Fault> {
    let (mut result, on_curve, agrees) = dispatch!(multiply_linear(k, p, g1_public, blinding));
    wipe_stack();
    release(&mut result, on_curve, agrees)
}

/// The one branch: on whether there was a fault.
fn release(result: &mut [u8; 64], on_curve: Mask, agrees: Mask) -> Result<[u8; 64], Fault> {
    if bool::from((on_curve & agrees).choice()) {
        return Ok(*result);
    }
    result.zeroize();
    Err(if bool::from(on_curve.choice()) { Fault::Mismatch } else { Fault::OffCurve })
}

/// k·P, whether it is on the curve, and whether k·(P + n·G1) = k·P + n·g1 with n = 1, or
/// n = 2 if P = −G1.
#[inline(never)]
pub(crate) fn multiply_linear<B: FieldBackend>(
    k: &[u8; SCALAR_LEN],
    p: &G1Point,
    g1_public: &G1Point,
    blinding: &[u8; 32],
) -> ([u8; 64], Mask, Mask) {
    let mut k = limbs_from_bytes(k);
    let factor = blinding_factor::<B>(blinding);
    let mut first = multiply_jacobian(&k, &randomised(p, &factor));
    let result = concatenate(&first.to_affine());
    first.zeroize();
    // Checked as it will be released: the conversion can fault too.
    let (x, y) = halves(&result);
    let (x, y) = (Element::from_bytes(&x), Element::from_bytes(&y));

    // P and G1 are public, and so is the number n.
    let generator = G1Point::generator();
    let n = if is_negated_generator_vartime(p) { 2 } else { 1 };
    let shifted = add_repeatedly::<B>(p, &generator, n);
    let mut second = multiply_jacobian(&k, &jacobian(&shifted, &factor.square()));
    k.zeroize();

    let start = Homogeneous { x, y, z: Element::ONE };
    let (x_key, y_key) = (Element::from_bytes(g1_public.x()), Element::from_bytes(g1_public.y()));
    let mut expected = start;
    for _ in 0..n {
        expected = expected.add(&x_key, &y_key);
    }
    let agrees = represents(&second, &expected);
    second.zeroize();
    (result, Element::is_on_curve(&x, &y), agrees)
}

fn is_negated_generator_vartime(p: &G1Point) -> bool {
    let (p_y, g_y) = (Element::<Portable>::from_bytes(p.y()), Element::from_bytes(G1Point::generator().y()));
    p.x() == G1Point::generator().x() && bool::from(p_y.add(&g_y).is_zero().choice())
}

fn add_repeatedly<B: FieldBackend>(p: &G1Point, q: &G1Point, times: usize) -> Homogeneous<Element<B>> {
    let mut sum =
        Homogeneous { x: Element::from_bytes(p.x()), y: Element::from_bytes(p.y()), z: Element::ONE };
    for _ in 0..times {
        sum = sum.add(&Element::from_bytes(q.x()), &Element::from_bytes(q.y()));
    }
    sum
}

/// (X : Y : Z), not infinity, as Jacobian coordinates (X·Z·f², Y·Z²·f³, Z·f).
fn jacobian<B: FieldBackend>(point: &Homogeneous<Element<B>>, factor: &Element<B>) -> Jacobian<Element<B>> {
    let z = point.z.multiply(factor);
    let x = point.x.multiply(&z).multiply(factor);
    let y = point.y.multiply(&z.square()).multiply(factor);
    Jacobian { x, y, z }
}

/// True if both are one point and neither is infinity: X₁·Z₂ = X₂·Z₁² and Y₁·Z₂ = Y₂·Z₁³.
fn represents<B: FieldBackend>(a: &Jacobian<Element<B>>, b: &Homogeneous<Element<B>>) -> Mask {
    let zz = a.z.square();
    let same_x = a.x.multiply(&b.z).equals(&b.x.multiply(&zz));
    let same_y = a.y.multiply(&b.z).equals(&b.y.multiply(&a.z.multiply(&zz)));
    same_x & same_y & !a.z.is_zero() & !b.z.is_zero()
}

fn halves(bytes: &[u8; 64]) -> ([u8; 32], [u8; 32]) {
    let mut parts = ([0; 32], [0; 32]);
    let (x, y) = bytes.split_at(32);
    parts.0.copy_from_slice(x);
    parts.1.copy_from_slice(y);
    parts
}
