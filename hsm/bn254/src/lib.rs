//! BN254 (alt_bn128): strict public points, and the multiplication of points by secret scalars without a
//! branch or an address that depends on them. Not for pairings and other work on public data, which arkworks
//! does; nor for keys, tokens or memory: the caller owns the scalar and the stack.
//!
//! Nothing here allocates (but [`initialise`]), makes a system call, locks or uses thread-local storage; the
//! stack need is bounded by a test at 32 KiB. The scalar is four integers of 64 bits and never a value of
//! another crate.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod affine;
mod constants;
mod encoding;
mod fault;
mod field;
mod fixed_base;
mod glv;
#[cfg(any(test, feature = "internals"))]
#[cfg_attr(not(feature = "internals"), allow(unreachable_pub, dead_code))]
#[doc(hidden)]
pub mod internals;
mod jacobian;
mod mask;
mod mul;
mod projective;
mod scalar;
mod stack;
#[cfg(test)]
mod tests;

pub use affine::{G1Point, G2Point, PointError};
pub use fault::{Fault, FaultCheck, multiply_checked};
pub use fixed_base::{initialise, multiply_g1_generator, multiply_g2_generator};
pub use scalar::{SCALAR_LEN, scalar_in_range};
