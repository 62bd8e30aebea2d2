//! k·P for a P that the caller chooses and a secret k: GLV halves, signed windows of four bits,
//! masked table scans. Not for the generator (`fixed_base`) and not for checking results (`fault`).
//!
//! # Why no addition meets an exceptional case
//! Before an addition the accumulator is a·P + b·λP, with |a|, |b| ≤ 1.034·2^126 + 16. It equals
//! ± the entry d·P (or d·λP), 0 ≤ d ≤ 8, only if (a ∓ d, b), or (a, b ∓ d), is in the lattice
//! {(u, v) : u + vλ ≡ 0 mod r}. Its shortest non-zero vector has maximum norm 1.739·2^126 (tested by
//! enumeration), so the vector is (0, 0).
//! - First addition of a window, of d·P: then b = 0 and a = ±d. Four doublings went before, so 16 divides a:
//!   a = d = 0.
//! - Second addition, of d·λP: then a = 0 and b = ±d, and 16 divides b: b = d = 0.
//!
//! So d = 0, and the selection below discards the sum. The accumulator is infinity only if (a, b) is in the
//! lattice, that is (0, 0), that is while all digits were 0 (the leading digit outweighs the rest);
//! then the entry replaces the sum. No point has order 2, so doubling is total; k is not 0 mod r,
//! so the result is not infinity.

use zeroize::Zeroize;

use crate::affine::G1Point;
use crate::constants::{BETA, Limbs};
use crate::field::{Arithmetic, Element, FieldBackend, concatenate, dispatch, limbs_from_bytes};
use crate::glv::{Digit, Half, split};
use crate::jacobian::{Affine, Jacobian, multiples};
use crate::mask::Mask;
use crate::scalar::SCALAR_LEN;
use crate::stack::wipe_stack;

/// k·P in Jacobian coordinates, for 0 < k < r and P = (X/Z², Y/Z³) not infinity.
///
/// Z may be any non-zero number: with a random one the whole computation is randomised (Coron,
/// "Resistance against differential power analysis for elliptic curve cryptosystems", 1999; against
/// Naccache, Smart, Stern, "Projective coordinates leak", <https://eprint.iacr.org/2003/191>).
pub(crate) fn multiply_jacobian<F: Arithmetic + Zeroize>(k: &Limbs, p: &Jacobian<F>) -> Jacobian<F> {
    let mut halves = split(k);
    let zero = Affine { x: F::ZERO, y: F::ZERO };
    let mut tables = [[zero; 8]; 2];
    let z = multiples(&Affine { x: p.x, y: p.y }, &mut tables[0]);
    let beta = F::constant(BETA);
    let [first, second] = &mut tables;
    for (with_lambda, entry) in second.iter_mut().zip(first.iter()) {
        *with_lambda = Affine { x: entry.x.multiply(&beta), y: entry.y };
    }

    // While it represents infinity the accumulator holds a randomised point like any other: small
    // scalars would otherwise compute on zeros, which no clock tells apart (measured) but a power
    // trace might.
    let [start, ..] = first;
    let mut accumulator = Jacobian { x: start.x, y: start.y, z: F::ONE };
    let mut infinite = !Mask::FALSE;
    for window in (0..Half::WINDOWS).rev() {
        if window + 1 != Half::WINDOWS {
            accumulator = accumulator.times_16();
        }
        for (half, table) in halves.iter().zip(&tables) {
            add_digit(&mut accumulator, &mut infinite, half.digit(window), table);
        }
    }
    let result = Jacobian { z: accumulator.z.multiply(&z.multiply(&p.z)), ..accumulator };
    halves.zeroize();
    tables.zeroize();
    accumulator.zeroize();
    result
}

/// Adds `digit·table[0]`: every entry is read, and the sum is computed whatever the digit is.
#[inline(always)]
fn add_digit<F: Arithmetic>(
    accumulator: &mut Jacobian<F>,
    infinite: &mut Mask,
    digit: Digit,
    table: &[Affine<F>; 8],
) {
    let entry = lookup(table, digit.magnitude).negate_if(digit.negative);
    let sum = accumulator.add(&entry);
    let no_digit = Mask::is_zero(digit.magnitude);
    let first = Jacobian { x: entry.x, y: entry.y, z: F::ONE };
    let changed = Jacobian::select(*infinite, &first, &sum);
    *accumulator = Jacobian::select(no_digit, accumulator, &changed);
    *infinite = *infinite & no_digit;
}

/// `table[magnitude − 1]`, and `table[0]` for 0, whose sum is discarded.
#[inline(always)]
fn lookup<F: Arithmetic>(table: &[Affine<F>; 8], magnitude: u64) -> Affine<F> {
    let wanted = magnitude | (Mask::is_zero(magnitude).bits() & 1);
    let mut found = Affine { x: F::ZERO, y: F::ZERO };
    for (number, entry) in (1..).zip(table) {
        let mask = Mask::equal(wanted, number);
        found = Affine { x: found.x.or_if(mask, &entry.x), y: found.y.or_if(mask, &entry.y) };
    }
    found
}

/// k·P as x ‖ y, big-endian, for a scalar in range.
///
/// `blinding` is 32 fresh random bytes that randomise the coordinates of the whole computation;
/// every value is safe. The result is not checked: see [`crate::multiply_checked`].
pub(crate) fn multiply(k: &[u8; SCALAR_LEN], p: &G1Point, blinding: &[u8; 32]) -> [u8; 64] {
    let product = dispatch!(multiply_with(k, p, blinding));
    wipe_stack();
    product
}

#[inline(never)]
pub(crate) fn multiply_with<B: FieldBackend>(
    k: &[u8; SCALAR_LEN],
    p: &G1Point,
    blinding: &[u8; 32],
) -> [u8; 64] {
    let mut k = limbs_from_bytes(k);
    let mut result = multiply_jacobian(&k, &randomised::<B>(p, &blinding_factor(blinding)));
    k.zeroize();
    let affine = result.to_affine();
    result.zeroize();
    concatenate(&affine)
}

/// A non-zero element from any 32 bytes.
pub(crate) fn blinding_factor<B: FieldBackend>(blinding: &[u8; 32]) -> Element<B> {
    let factor = Element::from_bytes(blinding);
    Element::select(factor.is_zero(), &Element::ONE, &factor)
}

/// The point with Z = factor.
pub(crate) fn randomised<B: FieldBackend>(p: &G1Point, factor: &Element<B>) -> Jacobian<Element<B>> {
    let square = factor.square();
    Jacobian {
        x: Element::from_bytes(p.x()).multiply(&square),
        y: Element::from_bytes(p.y()).multiply(&square.multiply(factor)),
        z: *factor,
    }
}
