#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod affine;
mod constants;
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
