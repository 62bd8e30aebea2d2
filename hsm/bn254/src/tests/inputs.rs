//! Scalars, points and numbers for the other tests. Not for assertions.

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::{AffineRepr, CurveGroup, PrimeGroup};
use ark_ff::{BigInteger, Field, PrimeField};
use num_bigint::BigUint;
use sha2::{Digest, Sha256};

use crate::affine::G1Point;

/// λ, the eigenvalue of the endomorphism.
pub(super) const LAMBDA: &str =
    "21888242871839275217838484774961031246154997185409878258781734729429964517155";

/// A count of random cases: short in the suite, long with AVS_KMS_LONG=1.
pub(super) fn cases(short: usize, long: usize) -> usize {
    if std::env::var_os("AVS_KMS_LONG").is_some_and(|value| value == "1") { long } else { short }
}

/// A deterministic stream of 32-byte strings: SHA-256 of a label and a counter.
pub(super) struct Stream {
    label: &'static str,
    counter: u64,
}

impl Stream {
    pub(super) fn new(label: &'static str) -> Self {
        Self { label, counter: 0 }
    }

    pub(super) fn bytes(&mut self) -> [u8; 32] {
        self.counter += 1;
        Sha256::new().chain_update(self.label).chain_update(self.counter.to_be_bytes()).finalize().into()
    }

    pub(super) fn scalar(&mut self) -> Fr {
        Fr::from_be_bytes_mod_order(&self.bytes())
    }

    pub(super) fn point(&mut self) -> G1Point {
        (G1Projective::generator() * self.scalar()).into_affine().try_into().unwrap()
    }
}

pub(super) fn scalar_bytes(k: Fr) -> [u8; 32] {
    k.into_bigint().to_bytes_be().try_into().unwrap()
}

pub(super) fn expected(k: Fr, p: &G1Point) -> [u8; 64] {
    let product: G1Affine = (G1Affine::from(p).into_group() * k).into_affine();
    G1Point::try_from(product).unwrap().to_bytes()
}

pub(super) fn lambda() -> Fr {
    Fr::from(decimal(LAMBDA))
}

pub(super) fn decimal(digits: &str) -> BigUint {
    digits.parse().unwrap()
}

pub(super) fn big(limbs: &[u64]) -> BigUint {
    limbs.iter().rev().fold(BigUint::ZERO, |sum, limb| (sum << 64) + limb)
}

/// Four limbs of a number below 2^256.
pub(super) fn limbs(number: &BigUint) -> [u64; 4] {
    let mut digits = number.to_u64_digits();
    assert!(digits.len() <= 4);
    digits.resize(4, 0);
    digits.try_into().unwrap()
}

/// The edge set: small multiples of 1, λ and λ² with both signs; all 2^i, 2^i − 1 and their
/// variants; all small pairs of halves; and the scalar whose fixed-base addition meets equal
/// points.
pub(super) fn edges() -> Vec<Fr> {
    let (lambda, mut scalars) = (lambda(), Vec::new());
    let mut with_variants = |k: Fr| {
        for factor in [Fr::from(1u64), lambda, lambda * lambda] {
            scalars.push(k * factor);
            scalars.push(-k * factor);
        }
    };
    for small in 1..300u64 {
        with_variants(Fr::from(small));
    }
    for power in 0..256u64 {
        let value = Fr::from(2u64).pow([power]);
        with_variants(value);
        with_variants(value - Fr::from(1u64));
    }
    for a in -20..=20i64 {
        for b in -20..=20i64 {
            scalars.push(Fr::from(a) + Fr::from(b) * lambda);
        }
    }
    scalars.push(Fr::from(6u64) * Fr::from(2u64).pow([252]));
    scalars.retain(|k| *k != Fr::from(0u64));
    scalars
}
