//! The multiplications with a kernel of one's choice, for benches, the constant-time harness and fuzzing. Not for any other
//! use: nothing here checks a result. Behind the feature `danger-curve-internals`.

use subtle::Choice;

use super::field::portable::Portable;
#[cfg(target_arch = "x86_64")]
use super::field::x86_64::{Assembly, is_supported};
use super::{G1Point, fault};

/// Which arithmetic to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// x86-64 assembly.
    Assembly,
    /// Plain Rust.
    Portable,
}

impl Backend {
    /// Whether this processor has it.
    pub fn is_supported(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Assembly => is_supported(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Assembly => false,
            Self::Portable => true,
        }
    }
}

macro_rules! with {
    ($backend:expr, $function:path, ($($argument:expr),*)) => {{
        assert!($backend.is_supported(), "this processor has no {:?}", $backend);
        match $backend {
            #[cfg(target_arch = "x86_64")]
            Backend::Assembly => { use $function as call; call::<Assembly>($($argument),*) }
            _ => { use $function as call; call::<Portable>($($argument),*) }
        }
    }};
}

/// Builds the tables.
pub fn initialise() {
    super::initialise();
}

/// See `bn254::multiply`.
pub fn multiply(backend: Backend, k: &[u8; 32], p: &G1Point, blinding: &[u8; 32]) -> [u8; 64] {
    with!(backend, super::multiply_with, (k, p, blinding))
}

/// See `bn254::multiply_g1_generator`.
pub fn multiply_g1_generator(backend: Backend, k: &[u8; 32]) -> [u8; 64] {
    with!(backend, super::multiply_g1_generator_with, (k))
}

/// See `bn254::multiply_g2_generator`.
pub fn multiply_g2_generator(backend: Backend, k: &[u8; 32]) -> [u8; 128] {
    with!(backend, super::multiply_g2_generator_with, (k))
}

/// The linear fault check without its branch: the result, whether it is on the curve, whether it agrees with the key.
pub fn multiply_linear(
    backend: Backend,
    k: &[u8; 32],
    p: &G1Point,
    g1_public: &G1Point,
    blinding: &[u8; 32],
) -> ([u8; 64], Choice, Choice) {
    let (result, on_curve, agrees) = with!(backend, fault::multiply_linear, (k, p, g1_public, blinding));
    (result, on_curve.choice(), agrees.choice())
}
