//! Equal to arkworks on random and edge scalars, with both backends. Not for timing.

use ark_bn254::{Fr, G2Affine, G2Projective};
use ark_ec::{CurveGroup, PrimeGroup};
use ark_ff::{Field, PrimeField};

use super::inputs::{Stream, big, cases, edges, expected, limbs, scalar_bytes};
use crate::affine::{G1Point, G2Point};
use crate::constants::{ORDER, P};
#[cfg(target_arch = "x86_64")]
use crate::field::{Assembly, assembly_is_supported};
use crate::field::{Portable, bytes_from_limbs};
use crate::fixed_base::{
    multiply_g1_generator, multiply_g1_generator_with, multiply_g2_generator, multiply_g2_generator_with,
};
use crate::mul::{multiply, multiply_with};
use crate::scalar::scalar_in_range;

/// Both backends where both exist, and the function that ships.
fn products(k: &[u8; 32], p: &G1Point, blinding: &[u8; 32]) -> Vec<[u8; 64]> {
    let mut products = vec![multiply(k, p, blinding), multiply_with::<Portable>(k, p, blinding)];
    #[cfg(target_arch = "x86_64")]
    if assembly_is_supported() {
        products.push(multiply_with::<Assembly>(k, p, blinding));
    }
    products
}

fn g1_products(k: &[u8; 32]) -> Vec<[u8; 64]> {
    vec![multiply_g1_generator(k), multiply_g1_generator_with::<Portable>(k)]
}

fn g2_products(k: &[u8; 32]) -> Vec<[u8; 128]> {
    vec![multiply_g2_generator(k), multiply_g2_generator_with::<Portable>(k)]
}

#[test]
fn random_products_of_fresh_points_are_those_of_arkworks() {
    let mut stream = Stream::new("random products");
    for _ in 0..cases(2_000, 100_000) {
        let (k, p) = (stream.scalar(), stream.point());
        for product in products(&scalar_bytes(k), &p, &stream.bytes()) {
            assert_eq!(product, expected(k, &p), "{k}");
        }
    }
}

#[test]
fn edge_products_are_those_of_arkworks() {
    let mut stream = Stream::new("edge products");
    for (p, every) in [(G1Point::generator(), 1), (stream.point(), cases(5, 1))] {
        for k in edges().into_iter().step_by(every) {
            for product in products(&scalar_bytes(k), &p, &stream.bytes()) {
                assert_eq!(product, expected(k, &p), "{k}");
            }
        }
    }
}

#[test]
fn products_of_the_generators_are_those_of_arkworks() {
    let mut stream = Stream::new("generators");
    let random: Vec<Fr> = (0..cases(500, 10_000)).map(|_| stream.scalar()).collect();
    let (every, edges) = (cases(16, 1), edges());
    for k in random.into_iter().chain(edges.into_iter().step_by(every)) {
        let bytes = scalar_bytes(k);
        for product in g1_products(&bytes) {
            assert_eq!(product, expected(k, &G1Point::generator()), "{k}");
        }
        let g2: G2Affine = (G2Projective::generator() * k).into_affine();
        for product in g2_products(&bytes) {
            assert_eq!(product, G2Point::try_from(g2).unwrap().to_bytes(), "{k}");
        }
    }
}

/// The top digit of 6·2^252 − r meets an accumulator that is the very entry it adds.
#[test]
fn a_fixed_base_addition_of_equal_points_is_right() {
    let k = Fr::from(6u64) * Fr::from(2u64).pow([252]);
    for product in g1_products(&scalar_bytes(k)) {
        assert_eq!(product, expected(k, &G1Point::generator()));
    }
    let g2: G2Affine = (G2Projective::generator() * k).into_affine();
    for product in g2_products(&scalar_bytes(k)) {
        assert_eq!(product, G2Point::try_from(g2).unwrap().to_bytes());
    }
}

#[test]
fn every_blinding_gives_the_same_product() {
    let mut stream = Stream::new("blinding");
    let (k, p) = (stream.scalar(), stream.point());
    let multiples_of_p = (0..6u64).map(|i| {
        let multiple = big(&P) * i;
        bytes_from_limbs(&limbs(&multiple))
    });
    for blinding in multiples_of_p.chain([[0xff; 32], stream.bytes()]) {
        for product in products(&scalar_bytes(k), &p, &blinding) {
            assert_eq!(product, expected(k, &p));
        }
    }
}

#[test]
fn only_scalars_from_one_to_r_minus_one_are_in_range() {
    let order = big(&ORDER);
    let bytes = |number: &num_bigint::BigUint| bytes_from_limbs(&limbs(number));
    let zero = num_bigint::BigUint::ZERO;
    for (number, in_range) in [
        (zero.clone(), false),
        (zero + 1u8, true),
        (&order - 1u8, true),
        (order.clone(), false),
        (&order + 1u8, false),
        (&order * 2u8, false),
    ] {
        assert_eq!(bool::from(scalar_in_range(&bytes(&number))), in_range, "{number}");
    }
    assert!(!bool::from(scalar_in_range(&[0xff; 32])));
    assert_eq!(Fr::MODULUS.0, ORDER);
}
