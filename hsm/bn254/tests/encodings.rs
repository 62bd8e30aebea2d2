//! Public points: strict parsing and the encodings of other projects, by vectors. Not for multiplication.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a test fails by panicking

use ark_bn254::{Fr, G1Affine, G1Projective, G2Affine, G2Projective};
use ark_ec::{AffineRepr, CurveGroup, PrimeGroup};
use ark_serialize::CanonicalSerialize;
use bn254_ct::{G1Point, G2Point, PointError};
use num_bigint::BigUint;
use proptest::prelude::*;
use serde_json::Value;

fn vectors(name: &str) -> Value {
    let path = format!("{}/../../tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap().trim_start_matches("0x")).unwrap()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

fn word(decimal: &Value) -> [u8; 32] {
    let number: BigUint = decimal.as_str().unwrap().parse().unwrap();
    let digits = number.to_bytes_be();
    let mut word = [0; 32];
    word[32 - digits.len()..].copy_from_slice(&digits);
    word
}

#[test]
fn every_encoding_of_the_vectors_reads_and_writes_back() {
    for vector in vectors("encodings.json")["vectors"].as_array().unwrap() {
        let (v1, v2) = (&vector["g1"], &vector["g2"]);
        let g1 = G1Point::from_bytes(&array(&v1["evmUncompressed64"])).unwrap();
        assert_eq!(g1.to_bytes()[..], bytes(&v1["evmUncompressed64"])[..]);
        assert_eq!(g1.to_gnark_compressed()[..], bytes(&v1["gnarkCompressed32"])[..]);
        assert_eq!(g1.to_arkworks_compressed()[..], bytes(&v1["arkworksCompressed32LE"])[..]);
        assert_eq!(G1Point::from_gnark_compressed(&array(&v1["gnarkCompressed32"])).unwrap(), g1);
        assert_eq!(G1Point::from_arkworks_compressed(&array(&v1["arkworksCompressed32LE"])).unwrap(), g1);

        let g2 = G2Point::from_bytes(&array(&v2["evmUncompressed128_c1c0"])).unwrap();
        assert_eq!(g2.to_bytes()[..], bytes(&v2["evmUncompressed128_c1c0"])[..]);
        assert_eq!(g2.to_gnark_compressed()[..], bytes(&v2["gnarkCompressed64"])[..]);
        assert_eq!(g2.to_arkworks_compressed()[..], bytes(&v2["arkworksCompressed64LE"])[..]);
        assert_eq!(G2Point::from_gnark_compressed(&array(&v2["gnarkCompressed64"])).unwrap(), g2);
        assert_eq!(G2Point::from_arkworks_compressed(&array(&v2["arkworksCompressed64LE"])).unwrap(), g2);
        // Cerberus writes the real part first: never the same point.
        assert!(G2Point::from_bytes(&array(&v2["cerberusSerialize128_c0c1"])).is_err());
    }
}

#[test]
fn public_keys_of_the_contracts_are_points_in_the_evms_order_only() {
    for vector in vectors("g2-public-keys.json")["vectors"].as_array().unwrap() {
        let [x, y] = ["solidityX", "solidityY"].map(|name| [word(&vector[name][0]), word(&vector[name][1])]);
        let point = G2Point::from_coordinates([&x[0], &x[1]], [&y[0], &y[1]]).unwrap();
        let k: BigUint = vector["privateKey"].as_str().unwrap().parse().unwrap();
        assert_eq!(G2Affine::from(&point), (G2Projective::generator() * Fr::from(k)).into_affine());
        let real_first = G2Point::from_coordinates([&x[1], &x[0]], [&y[1], &y[0]]);
        assert_eq!(real_first, Err(PointError::NotOnCurve));
    }
}

#[test]
fn every_invalid_point_of_the_vectors_is_refused_for_its_reason() {
    let file = vectors("invalid-points.json");
    for vector in file["g1"].as_array().unwrap() {
        let kind = vector["kind"].as_str().unwrap();
        let Ok(bytes) = <[u8; 64]>::try_from(bytes(&vector["bytes"])) else {
            assert!(kind.contains("63 bytes"));
            continue;
        };
        let expected = match kind {
            kind if kind.contains("not reduced") => PointError::CoordinateOutOfRange,
            kind if kind.contains("infinity") => PointError::Infinity,
            _ => PointError::NotOnCurve,
        };
        assert_eq!(G1Point::from_bytes(&bytes), Err(expected), "{kind}");
    }
    for vector in file["g2"].as_array().unwrap() {
        let kind = vector["kind"].as_str().unwrap();
        let expected = match kind {
            kind if kind.contains("subgroup") => PointError::NotInSubgroup,
            "infinity" => PointError::Infinity,
            _ => PointError::NotOnCurve,
        };
        assert_eq!(G2Point::from_bytes(&array(&vector["g2"])), Err(expected), "{kind}");
    }
}

#[test]
fn flags_and_coordinates_that_do_not_fit_are_refused() {
    let (g1, g2) = (G1Point::generator(), G2Point::generator());
    let flagged = |flags: u8| {
        let mut gnark = *g1.x();
        gnark[0] |= flags;
        G1Point::from_gnark_compressed(&gnark)
    };
    assert_eq!(flagged(0x00), Err(PointError::CoordinateOutOfRange), "uncompressed");
    assert_eq!(flagged(0x40), Err(PointError::Infinity));
    assert_eq!(flagged(0x80), Ok(g1));
    // 32 ones are no coordinate, whatever the flags.
    assert_eq!(G1Point::from_gnark_compressed(&[0xff; 32]), Err(PointError::CoordinateOutOfRange));
    assert_eq!(G2Point::from_gnark_compressed(&[0xbf; 64]), Err(PointError::CoordinateOutOfRange));
    let mut ark = g1.to_arkworks_compressed();
    ark[31] |= 0x40;
    assert_eq!(G1Point::from_arkworks_compressed(&ark), Err(PointError::Infinity));
    ark[31] |= 0xc0;
    assert_eq!(G1Point::from_arkworks_compressed(&ark), Err(PointError::CoordinateOutOfRange));
    // The sign of an uncompressed y is redundant, and must be right.
    let mut ark = g1.to_arkworks_uncompressed();
    ark[63] ^= 0x80;
    assert_eq!(G1Point::from_arkworks_uncompressed(&ark), Err(PointError::CoordinateOutOfRange));
    let mut ark = g2.to_arkworks_uncompressed();
    ark[127] ^= 0x80;
    assert_eq!(G2Point::from_arkworks_uncompressed(&ark), Err(PointError::CoordinateOutOfRange));
    // x = 4 has no y.
    let mut four = [0; 32];
    (four[0], four[31]) = (0x80, 4);
    assert_eq!(G1Point::from_gnark_compressed(&four), Err(PointError::NotOnCurve));
}

#[test]
fn infinity_is_no_point() {
    assert_eq!(G1Point::try_from(G1Affine::zero()), Err(PointError::Infinity));
    assert_eq!(G2Point::try_from(G2Affine::zero()), Err(PointError::Infinity));
    assert_eq!(G1Point::from_bytes(&[0; 64]), Err(PointError::Infinity));
    assert_eq!(G2Point::from_bytes(&[0; 128]), Err(PointError::Infinity));
}

fn compressed(value: &impl CanonicalSerialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.serialize_compressed(&mut bytes).unwrap();
    bytes
}

fn uncompressed(value: &impl CanonicalSerialize) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.serialize_uncompressed(&mut bytes).unwrap();
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn encodings_of_any_point_read_back_and_are_those_of_arkworks(k in 1u64..) {
        let ark = (G1Projective::generator() * Fr::from(k)).into_affine();
        let g1 = G1Point::try_from(ark).unwrap();
        prop_assert_eq!(G1Affine::from(&g1), ark);
        prop_assert_eq!(&g1.to_arkworks_compressed()[..], &compressed(&ark)[..]);
        prop_assert_eq!(&g1.to_arkworks_uncompressed()[..], &uncompressed(&ark)[..]);
        prop_assert_eq!(G1Point::from_arkworks_compressed(&g1.to_arkworks_compressed()), Ok(g1));
        prop_assert_eq!(G1Point::from_arkworks_uncompressed(&g1.to_arkworks_uncompressed()), Ok(g1));
        prop_assert_eq!(G1Point::from_gnark_compressed(&g1.to_gnark_compressed()), Ok(g1));
        prop_assert_eq!(G1Point::from_gnark_uncompressed(&g1.to_gnark_uncompressed()), Ok(g1));

        let ark = (G2Projective::generator() * Fr::from(k)).into_affine();
        let g2 = G2Point::try_from(ark).unwrap();
        prop_assert_eq!(G2Affine::from(&g2), ark);
        prop_assert_eq!(&g2.to_arkworks_compressed()[..], &compressed(&ark)[..]);
        prop_assert_eq!(&g2.to_arkworks_uncompressed()[..], &uncompressed(&ark)[..]);
        prop_assert_eq!(G2Point::from_arkworks_compressed(&g2.to_arkworks_compressed()), Ok(g2));
        prop_assert_eq!(G2Point::from_arkworks_uncompressed(&g2.to_arkworks_uncompressed()), Ok(g2));
        prop_assert_eq!(G2Point::from_gnark_compressed(&g2.to_gnark_compressed()), Ok(g2));
        prop_assert_eq!(G2Point::from_gnark_uncompressed(&g2.to_gnark_uncompressed()), Ok(g2));
    }

    #[test]
    fn whatever_reads_writes_back_the_same_bytes(quarter in any::<[u8; 32]>()) {
        if let Ok(point) = G1Point::from_gnark_compressed(&quarter) {
            prop_assert_eq!(point.to_gnark_compressed(), quarter);
        }
        if let Ok(point) = G1Point::from_arkworks_compressed(&quarter) {
            prop_assert_eq!(point.to_arkworks_compressed(), quarter);
        }
    }
}
