//! Elliptic curves: strict public points, and the multiplication of points by secret scalars in constant time.
//! Not for keys, tokens or memory: whoever calls this owns the scalar and the stack.

#[allow(dead_code)] // until the enclave calls all of it
pub(crate) mod bn254;
mod encoding;
mod point;

#[cfg(feature = "danger-curve-internals")]
#[doc(hidden)]
pub use bn254::internals;

pub use bn254::Fault;
pub use point::{G1Point, G2Point, PointError};
