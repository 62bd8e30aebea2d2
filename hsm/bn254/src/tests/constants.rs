//! Every constant again, from p, r and the curve equations. Not for how they are used.

use ark_bn254::{Fq, Fq2};
use ark_ff::{Field, PrimeField};
use num_bigint::{BigInt, BigUint};

use super::inputs::{LAMBDA, big, decimal, limbs};
use crate::affine::G2Point;
use crate::constants::*;

fn p() -> BigUint {
    decimal("21888242871839275222246405745257275088696311157297823662689037894645226208583")
}

fn r() -> BigUint {
    decimal("21888242871839275222246405745257275088548364400416034343698204186575808495617")
}

fn montgomery(value: &BigUint) -> Limbs {
    limbs(&((value << 256u32) % p()))
}

fn inverse_of_p(bits: u32) -> BigUint {
    p().modinv(&(BigUint::from(1u8) << bits)).unwrap()
}

fn rounded(numerator: &BigUint) -> BigUint {
    ((numerator << 1u32) + r()) / (r() << 1u32)
}

#[test]
fn the_field_constants_follow_from_p() {
    let one = BigUint::from(1u8);
    assert_eq!((big(&P), big(&P2), big(&P4)), (p(), p() * 2u8, p() * 4u8));
    assert_eq!(Fq::MODULUS.0, P);
    assert_eq!(big(&[P_NEG_INV_64]), (&one << 64u32) - inverse_of_p(64));
    assert_eq!(big(&N_PRIME) << 64u32, p() * P_NEG_INV_64 + &one);
    assert_eq!(big(&[P_INV_62]), inverse_of_p(62));
    let from_62 = P_62.iter().rev().fold(BigUint::ZERO, |sum, limb| (sum << 62u32) + (*limb as u64));
    assert_eq!(from_62, p());
    assert_eq!(ONE, montgomery(&one));
    assert_eq!(TWO, montgomery(&BigUint::from(2u8)));
    assert_eq!(big(&R2), (&one << 512u32) % p());
}

#[test]
fn the_curve_constants_follow_from_the_equations() {
    assert_eq!(CURVE_B, montgomery(&BigUint::from(3u8)));
    let b3 = Fq2::new(3u8.into(), 0u8.into()) * Fq2::new(9u8.into(), 1u8.into()).inverse().unwrap();
    let b3 = b3 * Fq2::from(3u8);
    assert_eq!(TWIST_B3, [montgomery(&b3.c0.into_bigint().into()), montgomery(&b3.c1.into_bigint().into())]);
    assert_eq!(big(&ORDER), r());
}

#[test]
fn the_endomorphism_is_a_cube_root_of_one() {
    let (one, lambda) = (BigUint::from(1u8), decimal(LAMBDA));
    assert_eq!((&lambda * &lambda + &lambda + &one) % r(), BigUint::ZERO);
    let beta = decimal("21888242871839275220042445260109153167277707414472061641714758635765020556616");
    assert_eq!((&beta * &beta + &beta + &one) % p(), BigUint::ZERO);
    assert_eq!(BETA, montgomery(&beta));
}

#[test]
fn the_lattice_is_that_of_lambda_and_the_factors_are_its_roundings() {
    let (n1, n2, m) = (BigUint::from(LATTICE_N1), BigUint::from(LATTICE_N2), BigUint::from(LATTICE_M));
    let lambda = decimal(LAMBDA);
    assert_eq!((&m * &lambda) % r(), n1);
    assert_eq!((&n2 * &lambda + &m) % r(), BigUint::ZERO);
    assert_eq!(&n1 * &n2 + &m * &m, r());
    assert_eq!(big(&ROUND_1), rounded(&(&n2 << 256u32)));
    assert_eq!(big(&ROUND_2), rounded(&(&m << 256u32)));
}

/// The proof in `mul` needs that no non-zero vector is short: for |i| or |j| above 6 it is longer
/// still, since the basis is nearly orthogonal.
#[test]
fn the_shortest_lattice_vector_is_longer_than_any_accumulator() {
    let (n1, n2, m) = (BigInt::from(LATTICE_N1), BigInt::from(LATTICE_N2), BigInt::from(LATTICE_M));
    let power = BigInt::from(1u128 << 126);
    let mut shortest: BigInt = &power * 1000;
    for i in -6..=6 {
        for j in -6..=6 {
            if (i, j) != (0, 0) {
                let (a, b): (BigInt, BigInt) = (-&n1 * i - &m * j, &m * i - &n2 * j);
                shortest = shortest.min(BigInt::from(a.magnitude().max(b.magnitude()).clone()));
            }
        }
    }
    // 1.034·2^126 + 16 + 8 is below 1.739·2^126.
    assert!(&shortest * 1000 >= &power * 1739);
    assert!(power / 1000 * 1035 + 24 < shortest);
}

/// Complete formulas need a group without a point of order 2.
#[test]
fn both_groups_have_odd_order() {
    assert!(r().bit(0));
    // #E'(Fp2) = r·(2p − r).
    assert!((r() * (p() * 2u8 - r())).bit(0));
}

#[test]
fn the_generator_of_g2_is_that_of_arkworks() {
    use ark_ec::AffineRepr;
    let generator = ark_bn254::G2Affine::generator();
    assert_eq!(G2Point::try_from(generator).unwrap(), G2Point::generator());
    assert_eq!(G2Point::from_bytes(&G2Point::generator().to_bytes()).unwrap(), G2Point::generator());
}
