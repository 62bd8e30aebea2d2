//! The enclave of avs-kms: everything that ever sees a secret, and nothing else.

pub mod curve;

#[cfg(feature = "danger-curve-internals")]
#[doc(hidden)]
pub use curve::internals as curve_internals;
