//! BN254 (alt_bn128): multiplication of points by secret scalars, without a branch or an address that depends
//! on them. Not for parsing points (`point`), nor for pairings and other work on public data, which arkworks
//! does.
//!
//! Nothing here allocates (but [`initialise`]), makes a system call, locks or uses thread-local storage; the
//! stack need is bounded by a test at 32 KiB. The scalar is four integers of 64 bits and never a value of
//! another crate.

use subtle::Choice;
use zeroize::Zeroize;

use super::point::G1Point;
use field::portable::Portable;
use field::{Arithmetic, Element, Kernel, limbs_from_bytes};
use formulas::Jacobian;
use mask::Mask;

/// Calls a function of a kernel with the best kernel that this processor has.
macro_rules! dispatch {
    ($function:ident($($argument:expr),*)) => {{
        #[cfg(target_arch = "x86_64")]
        if $crate::curve::bn254::field::x86_64::is_supported() {
            $function::<$crate::curve::bn254::field::x86_64::Assembly>($($argument),*)
        } else {
            $function::<$crate::curve::bn254::field::portable::Portable>($($argument),*)
        }
        #[cfg(not(target_arch = "x86_64"))]
        $function::<$crate::curve::bn254::field::portable::Portable>($($argument),*)
    }};
}

mod complete;
mod constants;
mod extension;
mod fault;
mod field;
mod fixed_base;
mod formulas;
#[cfg(any(test, feature = "danger-curve-internals"))]
#[cfg_attr(not(feature = "danger-curve-internals"), allow(unreachable_pub, dead_code))]
pub mod internals;
mod inversion;
mod mask;
mod split;
#[cfg(test)]
mod tests;
mod variable_base;

pub(crate) use fault::Fault;
#[allow(unused_imports)] // the enclave calls both
pub(crate) use fault::{multiply_checked, multiply_curve_checked};

/// BN254 as one of the enclave's curves.
pub(crate) struct Bn254;

impl super::Curve for Bn254 {
    const NAME: &'static str = "bn254";
    type Scalar = [u8; SCALAR_LEN];
    type Point = G1Point;
    type Product = [u8; 64];

    fn initialise() {
        initialise();
    }
    fn scalar_in_range(k: &[u8; SCALAR_LEN]) -> Choice {
        scalar_in_range(k)
    }
    fn multiply_checked(
        k: &[u8; SCALAR_LEN],
        p: &G1Point,
        key: &G1Point,
        blinding: &[u8; SCALAR_LEN],
    ) -> Result<[u8; 64], Fault> {
        multiply_checked(k, p, key, blinding)
    }
    fn multiply_generator(k: &[u8; SCALAR_LEN]) -> [u8; 64] {
        multiply_g1_generator(k)
    }
}

/// Bytes of a scalar, big-endian.
pub(crate) const SCALAR_LEN: usize = 32;

/// The generator of G2 of EIP-197: imaginary and real part of x, then of y.
pub(super) const G2_GENERATOR: [[u8; 32]; 4] = [
    integer(0x198e9393920d483a7260bfb731fb5d25, 0xf1aa493335a9e71297e485b7aef312c2),
    integer(0x1800deef121f1e76426a00665e5c4479, 0x674322d4f75edadd46debd5cd992f6ed),
    integer(0x090689d0585ff075ec9e99ad690c3395, 0xbc4b313370b38ef355acdadcd122975b),
    integer(0x12c85ea5db8c6deb4aab71808dcb408f, 0xe3d1e7690c43d37b4ce6cc0166fa7daa),
];

/// Big-endian bytes of high·2^128 + low.
const fn integer(high: u128, low: u128) -> [u8; 32] {
    let mut bytes = [0; 32];
    let (first, second) = bytes.split_at_mut(16);
    first.copy_from_slice(&high.to_be_bytes());
    second.copy_from_slice(&low.to_be_bytes());
    bytes
}

/// Builds the tables of the generators and looks the processor over. Call it once before the first
/// multiplication on a worker's own stack; a multiplication that comes first does the same and then
/// allocates.
pub(crate) fn initialise() {
    fixed_base::initialise();
    #[cfg(target_arch = "x86_64")]
    field::x86_64::is_supported();
}

/// Whether 0 < k < r, in constant time. `k` is big-endian.
pub(crate) fn scalar_in_range(k: &[u8; SCALAR_LEN]) -> Choice {
    let mut limbs = limbs_from_bytes(k);
    let [k0, k1, k2, k3] = limbs;
    let zero = Mask::is_zero(k0 | k1 | k2 | k3);
    let (mut difference, below_order) = field::subtract_limbs(&limbs, &constants::ORDER);
    limbs.zeroize();
    difference.zeroize();
    (below_order & !zero).choice()
}

/// k·P as x ‖ y, big-endian, for a scalar in range.
///
/// `blinding` is 32 fresh random bytes that randomise the coordinates of the whole computation; every value
/// is safe. Nothing is checked on the way out: see [`multiply_checked`].
pub(crate) fn multiply(k: &[u8; SCALAR_LEN], p: &G1Point, blinding: &[u8; 32]) -> [u8; 64] {
    let product = dispatch!(multiply_with(k, p, blinding));
    wipe_stack();
    product
}

/// k·G1 as x ‖ y, big-endian, for a scalar in range.
pub(crate) fn multiply_g1_generator(k: &[u8; SCALAR_LEN]) -> [u8; 64] {
    let product = dispatch!(multiply_g1_generator_with(k));
    wipe_stack();
    product
}

/// k·G2 in EVM order, that is imaginary and real part of x, then of y, for a scalar in range.
pub(crate) fn multiply_g2_generator(k: &[u8; SCALAR_LEN]) -> [u8; 128] {
    let product = dispatch!(multiply_g2_generator_with(k));
    wipe_stack();
    product
}

#[inline(never)]
fn multiply_g1_generator_with<K: Kernel>(k: &[u8; SCALAR_LEN]) -> [u8; 64] {
    let mut k = limbs_from_bytes(k);
    let point = fixed_base::multiply_g1::<K>(&k);
    k.zeroize();
    concatenate(&point)
}

#[inline(never)]
fn multiply_g2_generator_with<K: Kernel>(k: &[u8; SCALAR_LEN]) -> [u8; 128] {
    let mut k = limbs_from_bytes(k);
    let [x, y] = fixed_base::multiply_g2::<K>(&k);
    k.zeroize();
    let mut bytes = [0; 128];
    let (x_bytes, y_bytes) = bytes.split_at_mut(64);
    x_bytes.copy_from_slice(&concatenate(&[x.c1, x.c0]));
    y_bytes.copy_from_slice(&concatenate(&[y.c1, y.c0]));
    bytes
}

#[inline(never)]
fn multiply_with<K: Kernel>(k: &[u8; SCALAR_LEN], p: &G1Point, blinding: &[u8; 32]) -> [u8; 64] {
    let mut k = limbs_from_bytes(k);
    let mut result = variable_base::multiply(&k, &randomised::<K>(p, &blinding_factor(blinding)));
    k.zeroize();
    let affine = affine(&result);
    result.zeroize();
    concatenate(&affine)
}

/// Bytes of stack that a multiplication may have used below its caller; a test measures that they are enough.
const STACK_USED: usize = 8 * 1024;

/// Overwrites what the multiplication that has just returned left on the stack: spilled registers above all.
/// What it held in variables it has wiped itself. Called from the frame that called the multiplication, so
/// both start at one depth.
#[inline(never)]
fn wipe_stack() {
    let mut area = [0u64; STACK_USED / 8];
    // The optimiser must assume that the zeros are read.
    std::hint::black_box(&mut area);
}

/// A non-zero element from any 32 bytes.
fn blinding_factor<K: Kernel>(blinding: &[u8; 32]) -> Element<K> {
    let factor = Element::from_bytes(blinding);
    Element::select(factor.is_zero(), &Element::ONE, &factor)
}

/// The point with Z = factor.
fn randomised<K: Kernel>(p: &G1Point, factor: &Element<K>) -> Jacobian<Element<K>> {
    let square = factor.square();
    Jacobian {
        x: Element::from_bytes(p.x()).multiply(&square),
        y: Element::from_bytes(p.y()).multiply(&square.multiply(factor)),
        z: *factor,
    }
}

fn affine<K: Kernel>(point: &Jacobian<Element<K>>) -> [Element<K>; 2] {
    let mut inverse = point.z.invert();
    let square = inverse.square();
    let affine = [point.x.multiply(&square), point.y.multiply(&square.multiply(&inverse))];
    inverse.zeroize();
    affine
}

fn concatenate<K: Kernel>(coordinates: &[Element<K>; 2]) -> [u8; 64] {
    let mut bytes = [0; 64];
    let (x, y) = bytes.split_at_mut(32);
    x.copy_from_slice(&coordinates[0].to_bytes());
    y.copy_from_slice(&coordinates[1].to_bytes());
    bytes
}

/// Whether canonical coordinates satisfy the curve equation. Public data.
pub(super) fn is_on_curve_vartime(x: &[u8; 32], y: &[u8; 32]) -> bool {
    Element::<Portable>::is_on_curve(&Element::from_bytes(x), &Element::from_bytes(y)).choice().into()
}

/// Whether an integer is below p. Public data.
pub(super) fn is_canonical_vartime(coordinate: &[u8; 32]) -> bool {
    field::subtract_limbs(&limbs_from_bytes(coordinate), &constants::P).1.choice().into()
}
