//! The field of p elements and its quadratic extension. This file only names what the points need;
//! not for scalars, which are integers mod r.

mod backend;
mod dispatch;
mod element;
mod extension;
mod inversion;
mod limbs;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub(crate) use backend::FieldBackend;
pub(crate) use dispatch::dispatch;
pub(crate) use element::{Arithmetic, Element, concatenate};
pub(crate) use extension::{Coordinate, Quadratic};
#[cfg(test)]
pub(crate) use limbs::bytes_from_limbs;
pub(crate) use limbs::{limbs_from_bytes, subtract_limbs};
pub(crate) use portable::Portable;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{Assembly, is_supported as assembly_is_supported};
