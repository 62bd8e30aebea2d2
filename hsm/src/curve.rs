//! Elliptic curves: strict public points, and the multiplication of points by secret scalars in constant
//! time. Not for keys, tokens or memory: whoever calls this owns the scalar and the stack.
//!
//! A further curve is a sibling of `bn254` that implements [`Curve`]; nothing outside this folder names a
//! curve's constants.

#[allow(dead_code)] // until the enclave calls all of it
pub(crate) mod bn254;
mod encoding;
mod point;

#[cfg(feature = "danger-curve-internals")]
#[doc(hidden)]
pub use bn254::internals;

pub(crate) use bn254::Fault;
pub use point::{G1Point, G2Point, PointError};

/// What the enclave asks of a curve. Scalars are big-endian bytes in the caller's memory; every function
/// takes the same instructions and addresses whatever they are, allocates nothing after `initialise`, and
/// leaves nothing on the stack.
#[allow(dead_code)] // the enclave has one curve so far and calls its functions by path
pub(crate) trait Curve {
    /// The name that a record of a key carries.
    const NAME: &'static str;
    /// A scalar, big-endian.
    type Scalar;
    /// A point that a caller chooses: checked, never infinity.
    type Point: Copy;
    /// The encoding of a product.
    type Product;

    /// Builds tables; once, before the first multiplication.
    fn initialise();
    /// Whether 0 < k < r.
    fn scalar_in_range(k: &Self::Scalar) -> subtle::Choice;
    /// k·P, released only if it agrees with the public key k·G; `blinding` is fresh random bytes.
    fn multiply_checked(
        k: &Self::Scalar,
        p: &Self::Point,
        key: &Self::Point,
        blinding: &Self::Scalar,
    ) -> Result<Self::Product, Fault>;
    /// k·G.
    fn multiply_generator(k: &Self::Scalar) -> Self::Product;
}
