//! E0432: the enclave does not pass on the multiplications of the crate bn254-ct.

pub use hsm::{initialise, multiply_checked, multiply_g1_generator, multiply_g2_generator};
