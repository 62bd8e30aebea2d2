//! Strict parsing of public points, by vectors. Not for multiplication.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a test fails by panicking

use ark_bn254::{Fr, G1Affine, G1Projective, G2Affine, G2Projective};
use ark_ec::{AffineRepr, CurveGroup, PrimeGroup};
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
fn points_of_the_vectors_read_and_write_back() {
    for vector in vectors("encodings.json")["vectors"].as_array().unwrap() {
        let (v1, v2) = (&vector["g1"], &vector["g2"]);
        let g1 = G1Point::from_bytes(&array(&v1["evmUncompressed64"])).unwrap();
        assert_eq!(g1.to_bytes()[..], bytes(&v1["evmUncompressed64"])[..]);
        let g2 = G2Point::from_bytes(&array(&v2["evmUncompressed128_c1c0"])).unwrap();
        assert_eq!(g2.to_bytes()[..], bytes(&v2["evmUncompressed128_c1c0"])[..]);
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
fn infinity_is_no_point() {
    assert_eq!(G1Point::try_from(G1Affine::zero()), Err(PointError::Infinity));
    assert_eq!(G2Point::try_from(G2Affine::zero()), Err(PointError::Infinity));
    assert_eq!(G1Point::from_bytes(&[0; 64]), Err(PointError::Infinity));
    assert_eq!(G2Point::from_bytes(&[0; 128]), Err(PointError::Infinity));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_point_reads_back_and_is_that_of_arkworks(k in 1u64..) {
        let ark = (G1Projective::generator() * Fr::from(k)).into_affine();
        let g1 = G1Point::try_from(ark).unwrap();
        prop_assert_eq!(G1Affine::from(&g1), ark);
        prop_assert_eq!(G1Point::from_bytes(&g1.to_bytes()), Ok(g1));

        let ark = (G2Projective::generator() * Fr::from(k)).into_affine();
        let g2 = G2Point::try_from(ark).unwrap();
        prop_assert_eq!(G2Affine::from(&g2), ark);
        prop_assert_eq!(G2Point::from_bytes(&g2.to_bytes()), Ok(g2));
    }

    #[test]
    fn bytes_that_parse_write_back_unchanged(x in any::<[u8; 32]>(), y in any::<[u8; 32]>()) {
        let bytes: [u8; 64] = [x, y].concat().try_into().unwrap();
        if let Ok(point) = G1Point::from_bytes(&bytes) {
            prop_assert_eq!(point.to_bytes(), bytes);
        }
    }
}
