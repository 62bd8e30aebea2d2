//! The multiplications against arkworks. Not for the parts, which have their own tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a test fails by panicking

use ark_bn254::{Fr, G1Affine, G1Projective, G2Affine, G2Projective};
use ark_ec::{AffineRepr, CurveGroup, PrimeGroup};
use ark_ff::{BigInteger, PrimeField};

use super::*;
use crate::curve::point::G2Point;

/// A deterministic stream of 32-byte strings: SHA-256 of a counter.
pub(super) struct Stream {
    label: &'static str,
    counter: u64,
}

impl Stream {
    pub(super) fn new(label: &'static str) -> Self {
        Self { label, counter: 0 }
    }

    pub(super) fn bytes(&mut self) -> [u8; 32] {
        use sha2::{Digest, Sha256};
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

#[test]
fn products_of_random_points_are_those_of_arkworks() {
    let mut stream = Stream::new("random products");
    for _ in 0..2000 {
        let (k, p) = (stream.scalar(), stream.point());
        assert_eq!(multiply(&scalar_bytes(k), &p, &stream.bytes()), expected(k, &p));
    }
}

#[test]
fn products_of_the_generators_are_those_of_arkworks() {
    let mut stream = Stream::new("generators");
    for _ in 0..300 {
        let k = stream.scalar();
        let g1 = multiply_g1_generator(&scalar_bytes(k));
        assert_eq!(g1, expected(k, &G1Point::generator()));
        let g2: G2Affine = (G2Projective::generator() * k).into_affine();
        assert_eq!(multiply_g2_generator(&scalar_bytes(k)), G2Point::try_from(g2).unwrap().to_bytes());
    }
}

#[test]
fn checked_products_are_released_and_equal() {
    let mut stream = Stream::new("checked");
    for _ in 0..300 {
        let (k, p) = (stream.scalar(), stream.point());
        let bytes = scalar_bytes(k);
        let key = G1Point::from_bytes(&multiply_g1_generator(&bytes)).unwrap();
        assert_eq!(multiply_checked(&bytes, &p, &key, &stream.bytes()), Ok(expected(k, &p)));
        assert_eq!(multiply_curve_checked(&bytes, &p, &stream.bytes()), Ok(expected(k, &p)));
    }
}
