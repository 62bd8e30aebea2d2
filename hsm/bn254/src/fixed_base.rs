//! k·G for the generators of G1 and G2 by a table of 64 windows of eight points, without a
//! doubling. Not for other points.
//!
//! Signed digits −8..=8 of weight 16^i; k < r < 2^254, so the last digit is at most 4 and no carry
//! is lost. Every entry of a window is read. The additions are complete: the lattice argument of
//! `mul` does not hold here, and k = 6·2^252 − r makes the last one add equal points. The
//! tables are public and built once, by `initialise`.

use alloc::boxed::Box;

use once_cell::race::OnceBox;
use zeroize::Zeroize;

use crate::constants::{G2_GENERATOR, Limbs, ONE, TWO};
#[cfg(target_arch = "x86_64")]
use crate::field::assembly_is_supported;
use crate::field::{Arithmetic, Coordinate, Element, FieldBackend, Portable, Quadratic};
use crate::field::{concatenate, dispatch, limbs_from_bytes};
use crate::glv::{Digit, booth};
use crate::mask::Mask;
use crate::projective::Homogeneous;
use crate::scalar::SCALAR_LEN;
use crate::stack::wipe_stack;

/// Windows of four bits in 256.
const WINDOWS: usize = 64;

/// A table over the coordinates F, in limbs that every backend shares.
type Table<F> = [[[F; 2]; 8]; WINDOWS];
type G1Coordinate<B> = Element<B>;
type G2Coordinate<B> = Quadratic<Element<B>>;

static G1: OnceBox<Table<G1Coordinate<Portable>>> = OnceBox::new();
static G2: OnceBox<Table<G2Coordinate<Portable>>> = OnceBox::new();

/// Builds the tables of both generators (about 2 ms, 96 KiB) and detects the processor's features.
/// Call it once before the first multiplication. A multiplication that comes first builds the
/// tables itself and allocates.
pub fn initialise() {
    g1_table();
    g2_table();
    #[cfg(target_arch = "x86_64")]
    assembly_is_supported();
}

fn g1_table() -> &'static Table<G1Coordinate<Portable>> {
    G1.get_or_init(|| build([Arithmetic::constant(ONE), Arithmetic::constant(TWO)]))
}

fn g2_table() -> &'static Table<G2Coordinate<Portable>> {
    G2.get_or_init(|| build(g2_generator()))
}

fn g2_generator() -> [G2Coordinate<Portable>; 2] {
    let [x1, x0, y1, y0] = G2_GENERATOR.map(|bytes| Element::from_bytes(&bytes));
    [Quadratic { c0: x0, c1: x1 }, Quadratic { c0: y0, c1: y1 }]
}

/// j·16^i·G for 1 ≤ j ≤ 8 and 0 ≤ i < 64.
fn build<F: Coordinate>(generator: [F; 2]) -> Box<Table<F>> {
    let mut table = Box::new([[generator; 8]; WINDOWS]);
    let mut base = generator;
    for window in table.iter_mut() {
        let mut point = Homogeneous::INFINITY;
        for entry in window.iter_mut() {
            point = point.add(&base[0], &base[1]);
            *entry = affine(&point);
        }
        let [x, y] = window[7];
        base = affine(&Homogeneous { x, y, z: F::ONE }.add(&x, &y));
    }
    table
}

fn affine<F: Coordinate>(point: &Homogeneous<F>) -> [F; 2] {
    let inverse = point.z.invert();
    [point.x.multiply(&inverse), point.y.multiply(&inverse)]
}

/// k·G1 in affine coordinates, for 0 < k < r.
pub(crate) fn multiply_g1<B: FieldBackend>(k: &Limbs) -> [Element<B>; 2] {
    multiply(k, g1_table(), |entry| Element::from_limbs(entry.limbs))
}

/// k·G2 in affine coordinates, for 0 < k < r.
pub(crate) fn multiply_g2<B: FieldBackend>(k: &Limbs) -> [G2Coordinate<B>; 2] {
    multiply(k, g2_table(), |entry| Quadratic {
        c0: Element::from_limbs(entry.c0.limbs),
        c1: Element::from_limbs(entry.c1.limbs),
    })
}

#[inline(always)]
pub(crate) fn multiply<T: Copy, F: Coordinate + Zeroize>(
    k: &Limbs,
    table: &Table<T>,
    entry_for_backend: impl Fn(&T) -> F,
) -> [F; 2] {
    let mut accumulator = Homogeneous::INFINITY;
    for (number, window) in table.iter().enumerate() {
        let digit = digit(k, number);
        let mut found = [F::ZERO; 2];
        for (magnitude, [x, y]) in (1..).zip(window) {
            let mask = Mask::equal(digit.magnitude, magnitude);
            found =
                [found[0].or_if(mask, &entry_for_backend(x)), found[1].or_if(mask, &entry_for_backend(y))];
        }
        let y = F::select(digit.negative, &found[1].negate(), &found[1]);
        let sum = accumulator.add(&found[0], &y);
        accumulator = Homogeneous::select(Mask::is_zero(digit.magnitude), &accumulator, &sum);
    }
    let result = affine(&accumulator);
    accumulator.zeroize();
    result
}

/// The signed digit of weight 16^window, from the five bits that start one below it.
#[inline(always)]
fn digit(k: &Limbs, window: usize) -> Digit {
    let [k0, k1, k2, k3] = *k;
    let (limb, below) = match window / 16 {
        0 => (k0, 0),
        1 => (k1, k0 >> 63),
        2 => (k2, k1 >> 63),
        _ => (k3, k2 >> 63),
    };
    let bits = match window % 16 {
        0 => limb << 1 | below,
        place => limb >> (4 * place - 1),
    };
    booth(bits & 31)
}

/// k·G1 as x ‖ y, big-endian, for a scalar in range.
pub fn multiply_g1_generator(k: &[u8; SCALAR_LEN]) -> [u8; 64] {
    let product = dispatch!(multiply_g1_generator_with(k));
    wipe_stack();
    product
}

/// k·G2 in EVM order, that is imaginary and real part of x, then of y, for a scalar in range.
pub fn multiply_g2_generator(k: &[u8; SCALAR_LEN]) -> [u8; 128] {
    let product = dispatch!(multiply_g2_generator_with(k));
    wipe_stack();
    product
}

#[inline(never)]
pub(crate) fn multiply_g1_generator_with<B: FieldBackend>(k: &[u8; SCALAR_LEN]) -> [u8; 64] {
    let mut k = limbs_from_bytes(k);
    let point = multiply_g1::<B>(&k);
    k.zeroize();
    concatenate(&point)
}

#[inline(never)]
pub(crate) fn multiply_g2_generator_with<B: FieldBackend>(k: &[u8; SCALAR_LEN]) -> [u8; 128] {
    let mut k = limbs_from_bytes(k);
    let [x, y] = multiply_g2::<B>(&k);
    k.zeroize();
    let mut bytes = [0; 128];
    let (x_bytes, y_bytes) = bytes.split_at_mut(64);
    x_bytes.copy_from_slice(&concatenate(&[x.c1, x.c0]));
    y_bytes.copy_from_slice(&concatenate(&[y.c1, y.c0]));
    bytes
}
