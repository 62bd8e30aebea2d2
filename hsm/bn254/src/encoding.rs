//! The other encodings of public points: gnark's and arkworks', compressed and uncompressed. The EVM's is
//! that of the points themselves. Not for secrets: square roots here take variable time.
//!
//! gnark-crypto (ecc/bn254/marshal.go): big-endian, G2 with the imaginary part first; the two top bits of the
//! first byte are 00 uncompressed, 10 compressed with the smaller y, 11 with the larger, 01 infinity.
//! arkworks (ark-serialize, flags of short Weierstrass points): little-endian, G2 with the real part first;
//! in the last byte the top bit says that y is the larger, the next one infinity. "Larger" compares y with −y
//! as integers; in G2 the imaginary part decides unless it is 0.
//!
//! Each point has exactly one accepted form per encoding: flags that do not fit and coordinates not below p
//! are refused.

use ark_bn254::{Fq, Fq2};
use ark_ec::short_weierstrass::SWCurveConfig;
use ark_ff::Field;

use crate::affine::{G1Point, G2Point, PointError, element, join, quadratic, to_bytes, words};

/// The two flag bits of a byte.
const FLAGS: u8 = 0xc0;
const GNARK_SMALLER: u8 = 0x80;
const GNARK_LARGER: u8 = 0xc0;
const GNARK_INFINITY: u8 = 0x40;
const ARKWORKS_LARGER: u8 = 0x80;
const ARKWORKS_INFINITY: u8 = 0x40;

impl G1Point {
    /// gnark's uncompressed form, which is the EVM's.
    pub fn to_gnark_uncompressed(&self) -> [u8; 64] {
        self.to_bytes()
    }

    /// From gnark's uncompressed form.
    ///
    /// # Errors
    /// [`PointError`] for everything that is not the encoding of such a point.
    pub fn from_gnark_uncompressed(bytes: &[u8; 64]) -> Result<Self, PointError> {
        refuse_infinity(bytes[0], GNARK_INFINITY)?;
        Self::from_bytes(bytes)
    }

    /// gnark's compressed form.
    pub fn to_gnark_compressed(&self) -> [u8; 32] {
        let mut bytes = *self.x();
        bytes[0] |= if is_larger(self.y()) { GNARK_LARGER } else { GNARK_SMALLER };
        bytes
    }

    /// From gnark's compressed form.
    ///
    /// # Errors
    /// [`PointError`] for everything that is not the encoding of such a point.
    pub fn from_gnark_compressed(bytes: &[u8; 32]) -> Result<Self, PointError> {
        let mut x = *bytes;
        x[0] &= !FLAGS;
        g1_with_y(&x, gnark_larger(bytes[0])?)
    }

    /// arkworks' uncompressed form.
    pub fn to_arkworks_uncompressed(&self) -> [u8; 64] {
        let mut bytes = join(&[reversed(self.x()), reversed(self.y())]);
        bytes[63] |= if is_larger(self.y()) { ARKWORKS_LARGER } else { 0 };
        bytes
    }

    /// From arkworks' uncompressed form.
    ///
    /// # Errors
    /// [`PointError`] for everything that is not the encoding of such a point.
    pub fn from_arkworks_uncompressed(bytes: &[u8; 64]) -> Result<Self, PointError> {
        let larger = arkworks_larger(bytes[63])?;
        let mut plain = *bytes;
        plain[63] &= !FLAGS;
        let [x, y] = words(&plain);
        let point = Self::from_coordinates(&reversed(&x), &reversed(&y))?;
        if is_larger(point.y()) == larger { Ok(point) } else { Err(PointError::CoordinateOutOfRange) }
    }

    /// arkworks' compressed form.
    pub fn to_arkworks_compressed(&self) -> [u8; 32] {
        let mut bytes = reversed(self.x());
        bytes[31] |= if is_larger(self.y()) { ARKWORKS_LARGER } else { 0 };
        bytes
    }

    /// From arkworks' compressed form.
    ///
    /// # Errors
    /// [`PointError`] for everything that is not the encoding of such a point.
    pub fn from_arkworks_compressed(bytes: &[u8; 32]) -> Result<Self, PointError> {
        let mut x = reversed(bytes);
        x[0] &= !FLAGS;
        g1_with_y(&x, arkworks_larger(bytes[31])?)
    }
}

impl G2Point {
    /// gnark's uncompressed form, which is the EVM's.
    pub fn to_gnark_uncompressed(&self) -> [u8; 128] {
        self.to_bytes()
    }

    /// From gnark's uncompressed form.
    ///
    /// # Errors
    /// [`PointError`] for everything that is not the encoding of such a point.
    pub fn from_gnark_uncompressed(bytes: &[u8; 128]) -> Result<Self, PointError> {
        refuse_infinity(bytes[0], GNARK_INFINITY)?;
        Self::from_bytes(bytes)
    }

    /// gnark's compressed form.
    pub fn to_gnark_compressed(&self) -> [u8; 64] {
        let mut bytes: [u8; 64] = join(self.x());
        bytes[0] |= if is_larger_pair(self.y()) { GNARK_LARGER } else { GNARK_SMALLER };
        bytes
    }

    /// From gnark's compressed form.
    ///
    /// # Errors
    /// [`PointError`] for everything that is not the encoding of such a point.
    pub fn from_gnark_compressed(bytes: &[u8; 64]) -> Result<Self, PointError> {
        let mut x: [[u8; 32]; 2] = words(bytes);
        x[0][0] &= !FLAGS;
        g2_with_y(&x, gnark_larger(bytes[0])?)
    }

    /// arkworks' uncompressed form.
    pub fn to_arkworks_uncompressed(&self) -> [u8; 128] {
        let ([x1, x0], [y1, y0]) = (self.x(), self.y());
        let mut bytes = join(&[reversed(x0), reversed(x1), reversed(y0), reversed(y1)]);
        bytes[127] |= if is_larger_pair(self.y()) { ARKWORKS_LARGER } else { 0 };
        bytes
    }

    /// From arkworks' uncompressed form.
    ///
    /// # Errors
    /// [`PointError`] for everything that is not the encoding of such a point.
    pub fn from_arkworks_uncompressed(bytes: &[u8; 128]) -> Result<Self, PointError> {
        let larger = arkworks_larger(bytes[127])?;
        let mut plain = *bytes;
        plain[127] &= !FLAGS;
        let [x0, x1, y0, y1] = words(&plain).map(|word| reversed(&word));
        let point = Self::from_coordinates([&x1, &x0], [&y1, &y0])?;
        if is_larger_pair(point.y()) == larger { Ok(point) } else { Err(PointError::CoordinateOutOfRange) }
    }

    /// arkworks' compressed form.
    pub fn to_arkworks_compressed(&self) -> [u8; 64] {
        let [x1, x0] = self.x();
        let mut bytes = join(&[reversed(x0), reversed(x1)]);
        bytes[63] |= if is_larger_pair(self.y()) { ARKWORKS_LARGER } else { 0 };
        bytes
    }

    /// From arkworks' compressed form.
    ///
    /// # Errors
    /// [`PointError`] for everything that is not the encoding of such a point.
    pub fn from_arkworks_compressed(bytes: &[u8; 64]) -> Result<Self, PointError> {
        let [x0, mut x1] = words(bytes).map(|word| reversed(&word));
        x1[0] &= !FLAGS;
        g2_with_y(&[x1, x0], arkworks_larger(bytes[63])?)
    }
}

/// Whether gnark's flags ask for the larger y.
fn gnark_larger(first: u8) -> Result<bool, PointError> {
    match first & FLAGS {
        GNARK_LARGER => Ok(true),
        GNARK_SMALLER => Ok(false),
        GNARK_INFINITY => Err(PointError::Infinity),
        _ => Err(PointError::CoordinateOutOfRange),
    }
}

/// Whether arkworks' flags ask for the larger y.
fn arkworks_larger(last: u8) -> Result<bool, PointError> {
    match last & FLAGS {
        ARKWORKS_LARGER => Ok(true),
        0 => Ok(false),
        ARKWORKS_INFINITY => Err(PointError::Infinity),
        _ => Err(PointError::CoordinateOutOfRange),
    }
}

fn refuse_infinity(flags: u8, infinity: u8) -> Result<(), PointError> {
    if flags & FLAGS == infinity { Err(PointError::Infinity) } else { Ok(()) }
}

/// Whether y > −y as integers; 0 is not.
fn is_larger(y: &[u8; 32]) -> bool {
    *y > to_bytes(-element(y))
}

/// The same for imaginary and real part: the imaginary part decides, or the real one if that is 0.
fn is_larger_pair(y: &[[u8; 32]; 2]) -> bool {
    let [imaginary, real] = y;
    if imaginary == &[0; 32] { is_larger(real) } else { is_larger(imaginary) }
}

/// The point of G1 with this x and the larger or the smaller y.
fn g1_with_y(x: &[u8; 32], larger: bool) -> Result<G1Point, PointError> {
    let x_element: Fq = element(x);
    if to_bytes(x_element) != *x {
        return Err(PointError::CoordinateOutOfRange);
    }
    let y = (x_element * x_element.square() + Fq::from(3u8)).sqrt().ok_or(PointError::NotOnCurve)?;
    let bytes = to_bytes(y);
    let chosen = if is_larger(&bytes) == larger { bytes } else { to_bytes(-y) };
    G1Point::from_coordinates(x, &chosen)
}

/// The point of G2 with this x and the larger or the smaller y.
fn g2_with_y(x: &[[u8; 32]; 2], larger: bool) -> Result<G2Point, PointError> {
    let x_element: Fq2 = quadratic(x);
    if to_bytes(x_element.c1) != x[0] || to_bytes(x_element.c0) != x[1] {
        return Err(PointError::CoordinateOutOfRange);
    }
    let b = <ark_bn254::g2::Config as SWCurveConfig>::COEFF_B;
    let y = (x_element * x_element.square() + b).sqrt().ok_or(PointError::NotOnCurve)?;
    let pair = |y: Fq2| [to_bytes(y.c1), to_bytes(y.c0)];
    let chosen = if is_larger_pair(&pair(y)) == larger { pair(y) } else { pair(-y) };
    G2Point::from_coordinates([&x[0], &x[1]], [&chosen[0], &chosen[1]])
}

fn reversed(bytes: &[u8; 32]) -> [u8; 32] {
    let mut reversed = *bytes;
    reversed.reverse();
    reversed
}
