//! Public points of G1 and G2, checked when they are made. Not for secrets, nor for compressed
//! encodings.

use ark_bn254::{Fq, Fq2, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ff::{BigInteger, BigInteger256, PrimeField};

use crate::constants::{G2_GENERATOR, P};
use crate::field::{Element, Portable, limbs_from_bytes, subtract_limbs};

/// Why bytes are not a usable point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PointError {
    /// A coordinate is not below p, or its encoding is not the only one.
    #[error("a coordinate is not the canonical encoding of a field element")]
    CoordinateOutOfRange,
    /// The coordinates do not satisfy the curve equation.
    #[error("the point is not on the curve")]
    NotOnCurve,
    /// The point at infinity, which no key and no message may be.
    #[error("the point is the point at infinity")]
    Infinity,
    /// On the twist, but not of order r.
    #[error("the point is not in the subgroup of order r")]
    NotInSubgroup,
}

/// A point of G1: canonical coordinates, on the curve, never infinity. G1 is the whole curve, so
/// also of order r.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct G1Point {
    x: [u8; 32],
    y: [u8; 32],
}

impl G1Point {
    /// From big-endian coordinates.
    ///
    /// # Errors
    /// [`PointError`] for everything that is not such a point; (0, 0) counts as infinity (EIP-196).
    pub fn from_coordinates(x: &[u8; 32], y: &[u8; 32]) -> Result<Self, PointError> {
        if !is_canonical_vartime(x) || !is_canonical_vartime(y) {
            return Err(PointError::CoordinateOutOfRange);
        }
        if x == &[0; 32] && y == &[0; 32] {
            return Err(PointError::Infinity);
        }
        if !is_on_curve_vartime(x, y) {
            return Err(PointError::NotOnCurve);
        }
        Ok(Self { x: *x, y: *y })
    }

    /// From x ‖ y, each 32 bytes big-endian (EIP-196).
    ///
    /// # Errors
    /// As [`G1Point::from_coordinates`].
    pub fn from_bytes(xy: &[u8; 64]) -> Result<Self, PointError> {
        let [x, y] = words(xy);
        Self::from_coordinates(&x, &y)
    }

    /// x, big-endian.
    pub fn x(&self) -> &[u8; 32] {
        &self.x
    }

    /// y, big-endian.
    pub fn y(&self) -> &[u8; 32] {
        &self.y
    }

    /// x ‖ y, each 32 bytes big-endian (EIP-196).
    pub fn to_bytes(&self) -> [u8; 64] {
        join(&[self.x, self.y])
    }

    /// (1, 2), the generator of EIP-196.
    pub fn generator() -> Self {
        let mut point = Self { x: [0; 32], y: [0; 32] };
        point.x[31] = 1;
        point.y[31] = 2;
        point
    }
}

/// A point of G2: canonical coordinates, on the twist, of order r, never infinity.
///
/// Coordinates are pairs in the EVM's order, the imaginary part first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct G2Point {
    x: [[u8; 32]; 2],
    y: [[u8; 32]; 2],
}

impl G2Point {
    /// From big-endian coordinates, the imaginary part first.
    ///
    /// # Errors
    /// [`PointError`] for everything that is not such a point; all zeros count as infinity
    /// (EIP-197).
    pub fn from_coordinates(x: [&[u8; 32]; 2], y: [&[u8; 32]; 2]) -> Result<Self, PointError> {
        let [x, y] = [x.map(|part| *part), y.map(|part| *part)];
        if !x.iter().chain(&y).all(is_canonical_vartime) {
            return Err(PointError::CoordinateOutOfRange);
        }
        let point = G2Affine::new_unchecked(quadratic(&x), quadratic(&y));
        if x.iter().chain(&y).all(|part| part == &[0; 32]) {
            return Err(PointError::Infinity);
        }
        if !point.is_on_curve() {
            return Err(PointError::NotOnCurve);
        }
        if !point.is_in_correct_subgroup_assuming_on_curve() {
            return Err(PointError::NotInSubgroup);
        }
        Ok(Self { x, y })
    }

    /// From four words of 32 bytes, big-endian: imaginary and real part of x, then of y (EIP-197).
    ///
    /// # Errors
    /// As [`G2Point::from_coordinates`].
    pub fn from_bytes(bytes: &[u8; 128]) -> Result<Self, PointError> {
        let [x1, x0, y1, y0] = words(bytes);
        Self::from_coordinates([&x1, &x0], [&y1, &y0])
    }

    /// The imaginary and the real part of x, big-endian.
    pub fn x(&self) -> &[[u8; 32]; 2] {
        &self.x
    }

    /// The imaginary and the real part of y, big-endian.
    pub fn y(&self) -> &[[u8; 32]; 2] {
        &self.y
    }

    /// Four words of 32 bytes, big-endian: imaginary and real part of x, then of y (EIP-197).
    pub fn to_bytes(&self) -> [u8; 128] {
        let ([x1, x0], [y1, y0]) = (self.x, self.y);
        join(&[x1, x0, y1, y0])
    }

    /// The generator of EIP-197.
    pub fn generator() -> Self {
        let [x1, x0, y1, y0] = G2_GENERATOR;
        Self { x: [x1, x0], y: [y1, y0] }
    }
}

impl From<&G1Point> for G1Affine {
    fn from(point: &G1Point) -> Self {
        G1Affine::new_unchecked(element(&point.x), element(&point.y))
    }
}

impl From<&G2Point> for G2Affine {
    fn from(point: &G2Point) -> Self {
        G2Affine::new_unchecked(quadratic(&point.x), quadratic(&point.y))
    }
}

impl TryFrom<G1Affine> for G1Point {
    type Error = PointError;

    fn try_from(point: G1Affine) -> Result<Self, PointError> {
        let (x, y) = point.xy().ok_or(PointError::Infinity)?;
        Self::from_coordinates(&to_bytes(x), &to_bytes(y))
    }
}

impl TryFrom<G2Affine> for G2Point {
    type Error = PointError;

    fn try_from(point: G2Affine) -> Result<Self, PointError> {
        let (x, y) = point.xy().ok_or(PointError::Infinity)?;
        Self::from_coordinates([&to_bytes(x.c1), &to_bytes(x.c0)], [&to_bytes(y.c1), &to_bytes(y.c0)])
    }
}

/// Whether canonical coordinates satisfy the curve equation. Public data.
pub(crate) fn is_on_curve_vartime(x: &[u8; 32], y: &[u8; 32]) -> bool {
    Element::<Portable>::is_on_curve(&Element::from_bytes(x), &Element::from_bytes(y)).choice().into()
}

/// Whether an integer is below p. Public data.
pub(crate) fn is_canonical_vartime(coordinate: &[u8; 32]) -> bool {
    subtract_limbs(&limbs_from_bytes(coordinate), &P).1.choice().into()
}

/// A canonical big-endian integer as a public field element.
fn element(bytes: &[u8; 32]) -> Fq {
    Fq::from_be_bytes_mod_order(bytes)
}

/// Imaginary part first.
fn quadratic(parts: &[[u8; 32]; 2]) -> Fq2 {
    Fq2::new(element(&parts[1]), element(&parts[0]))
}

/// A public field element as a big-endian integer.
fn to_bytes(element: Fq) -> [u8; 32] {
    let integer: BigInteger256 = element.into_bigint();
    let mut bytes = [0; 32];
    for (byte, value) in bytes.iter_mut().zip(integer.to_bytes_be()) {
        *byte = value;
    }
    bytes
}

/// N words of 32 bytes; the lengths are the caller's types.
fn words<const N: usize>(bytes: &[u8]) -> [[u8; 32]; N] {
    let mut words = [[0; 32]; N];
    for (word, chunk) in words.iter_mut().zip(bytes.as_chunks::<32>().0) {
        *word = *chunk;
    }
    words
}

/// N words of 32 bytes one after the other.
fn join<const N: usize, const BYTES: usize>(words: &[[u8; 32]; N]) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    for (chunk, word) in bytes.as_chunks_mut::<32>().0.iter_mut().zip(words) {
        *chunk = *word;
    }
    bytes
}
