//! The multiplications with a chosen backend, for benches, the constant-time harness and fuzzing.
//! Not for any other use: nothing here checks a result. Behind the feature `internals`.
#![allow(clippy::panic, clippy::missing_panics_doc)] // a wrong backend or a wrong result must stop a bench or a fuzzer

use subtle::Choice;

use crate::affine::G1Point;
use crate::constants::R2;
use crate::field::{Arithmetic, Element, FieldBackend, Portable, limbs_from_bytes};
#[cfg(target_arch = "x86_64")]
use crate::field::{Assembly, assembly_is_supported};
use crate::glv::split;
use crate::{fault, fixed_base, mul, scalar};

/// Which arithmetic to use. Ask [`Backend::is_supported`] first: a processor without it stops the
/// process. valgrind is the exception, which executes the instructions of the assembly but does not
/// say so.
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
            Self::Assembly => assembly_is_supported(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Assembly => false,
            Self::Portable => true,
        }
    }
}

macro_rules! with {
    ($backend:expr, $function:path, ($($argument:expr),*)) => {{
        match $backend {
            #[cfg(target_arch = "x86_64")]
            Backend::Assembly => { use $function as call; call::<Assembly>($($argument),*) }
            _ => { use $function as call; call::<Portable>($($argument),*) }
        }
    }};
}

/// Builds the tables.
pub fn initialise() {
    fixed_base::initialise();
}

/// See `bn254::multiply`.
pub fn multiply(backend: Backend, k: &[u8; 32], p: &G1Point, blinding: &[u8; 32]) -> [u8; 64] {
    with!(backend, mul::multiply_with, (k, p, blinding))
}

/// See `bn254::multiply_g1_generator`.
pub fn multiply_g1_generator(backend: Backend, k: &[u8; 32]) -> [u8; 64] {
    with!(backend, fixed_base::multiply_g1_generator_with, (k))
}

/// See `bn254::multiply_g2_generator`.
pub fn multiply_g2_generator(backend: Backend, k: &[u8; 32]) -> [u8; 128] {
    with!(backend, fixed_base::multiply_g2_generator_with, (k))
}

/// The linear fault check without its branch: the result, whether it is on the curve, whether it
/// agrees with the key.
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

/// An operation of the field, for measuring its throughput.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// a·b.
    Multiply,
    /// a².
    Square,
    /// a·b + c·d.
    SumOfProducts,
    /// 1/a.
    Invert,
}

/// Operations in one multiplication of a variable point, affine in and out: (products, squares,
/// sums of two products, inversions).
pub const VARIABLE_BASE_COUNT: [(Operation, u32); 4] = [
    (Operation::Multiply, 2 * 124 + 6 * 64 + 55 + 8 + 10),
    (Operation::Square, 3 * 124 + 3 * 64 + 22 + 2),
    (Operation::SumOfProducts, 124 + 64),
    (Operation::Invert, 1),
];

/// Runs `rounds` operations on each of four independent streams.
pub fn run_streams(backend: Backend, operation: Operation, streams: &mut [[u64; 4]; 4], rounds: u32) {
    fn run<B: FieldBackend>(operation: Operation, streams: &mut [[u64; 4]; 4], rounds: u32) {
        let factor = Element::<B>::from_limbs(R2);
        for _ in 0..rounds {
            for stream in streams.iter_mut() {
                let value = Element::<B>::from_limbs(*stream);
                *stream = match operation {
                    Operation::Multiply => value.multiply(&factor),
                    Operation::Square => value.square(),
                    Operation::SumOfProducts => Element::sum_of_products(&value, &factor, &factor, &value),
                    Operation::Invert => value.invert(),
                }
                .limbs;
            }
        }
    }
    with!(backend, run, (operation, streams, rounds));
}

/// What fuzzing asserts: 96 bytes as a scalar, another for the point, and blinding give the
/// products of arkworks, on both backends and through the fault check; shorter inputs are filled
/// with zeros.
pub fn check_any_bytes(data: &[u8]) {
    use ark_bn254::{Fr, G1Affine, G1Projective};
    use ark_ec::{CurveGroup, PrimeGroup};
    use ark_ff::{BigInteger, PrimeField};

    let mut words = [[0; 32]; 3];
    for (byte, value) in words.as_flattened_mut().iter_mut().zip(data) {
        *byte = *value;
    }
    let [k, seed, blinding] = words;
    let (k, seed) = (Fr::from_be_bytes_mod_order(&k), Fr::from_be_bytes_mod_order(&seed));
    let point: G1Affine = (G1Projective::generator() * seed).into_affine();
    let (Ok(p), Ok(expected)) =
        (G1Point::try_from(point), G1Point::try_from((G1Projective::from(point) * k).into_affine()))
    else {
        return; // a scalar is 0
    };
    let mut bytes = [0; 32];
    for (byte, value) in bytes.iter_mut().zip(k.into_bigint().to_bytes_be()) {
        *byte = value;
    }
    for backend in [Backend::Assembly, Backend::Portable].into_iter().filter(|backend| backend.is_supported())
    {
        assert_eq!(multiply(backend, &bytes, &p, &blinding), expected.to_bytes());
        let key = multiply_g1_generator(backend, &bytes);
        assert_eq!(key, multiply(backend, &bytes, &G1Point::generator(), &blinding));
        let key = G1Point::from_bytes(&key).unwrap_or_else(|_| G1Point::generator());
        let (result, on_curve, agrees) = multiply_linear(backend, &bytes, &p, &key, &blinding);
        assert!(bool::from(on_curve & agrees));
        assert_eq!(result, expected.to_bytes());
    }
}

/// See `bn254::scalar_in_range`.
pub fn scalar_in_range(k: &[u8; 32]) -> Choice {
    scalar::scalar_in_range(k)
}

/// The split of a scalar as its 64 signed digits.
pub fn split_digits(k: &[u8; 32]) -> [u8; 64] {
    let halves = split(&limbs_from_bytes(k));
    let mut digits = [0; 64];
    for (chunk, half) in digits.chunks_exact_mut(32).zip(&halves) {
        for (window, out) in (0..).zip(chunk) {
            let digit = half.digit(window);
            *out = digit.magnitude as u8 | digit.negative.bits() as u8 & 0x80;
        }
    }
    digits
}

/// 1/a mod p for 32 big-endian bytes taken mod p.
pub fn invert(backend: Backend, a: &[u8; 32]) -> [u8; 32] {
    fn run<B: FieldBackend>(a: &[u8; 32]) -> [u8; 32] {
        Element::<B>::from_bytes(a).invert().to_bytes()
    }
    with!(backend, run, (a))
}
