//! geth's vectors of the precompiles of EIP-196. Not for parsing, which tests/points.rs covers.

use serde_json::Value;

use super::inputs::{big, limbs};
use crate::affine::G1Point;
use crate::constants::ORDER;
use crate::field::{Arithmetic, Element, Portable, bytes_from_limbs, concatenate};
use crate::mul::multiply;
use crate::projective::Homogeneous;
use crate::scalar::scalar_in_range;

fn vectors(json: &str) -> Vec<([u8; 128], [u8; 64])> {
    let file: Value = serde_json::from_str(json).unwrap();
    let case = |vector: &Value| {
        let mut input = hex::decode(vector["input"].as_str().unwrap()).unwrap();
        input.resize(128, 0);
        (
            input.try_into().unwrap(),
            hex::decode(vector["expected"].as_str().unwrap()).unwrap().try_into().unwrap(),
        )
    };
    file["vectors"].as_array().unwrap().iter().map(case).collect()
}

#[test]
fn products_are_those_of_geth() {
    let json =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/geth-bn256ScalarMul.json"));
    let mut used = 0;
    for (input, expected) in vectors(json) {
        let k: [u8; 32] = input[64..96].try_into().unwrap();
        let Ok(p) = G1Point::from_bytes(&input[..64].try_into().unwrap()) else { continue };
        // The precompile takes any scalar; ours is reduced, and zero has no business here.
        let reduced = num_bigint::BigUint::from_bytes_be(&k) % big(&ORDER);
        let k = bytes_from_limbs(&limbs(&reduced));
        if bool::from(scalar_in_range(&k)) {
            assert_eq!(multiply(&k, &p, &[3; 32]), expected);
            used += 1;
        }
    }
    assert!(used >= 10, "{used}");
}

/// The sums exercise the complete addition, infinity included.
#[test]
fn sums_are_those_of_geth() {
    let json = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/geth-bn256Add.json"));
    let mut used = 0;
    for (input, expected) in vectors(json) {
        let [p, q] =
            [&input[..64], &input[64..]].map(|half| G1Point::from_bytes(&half.try_into().unwrap()).ok());
        let sum = match (p, q) {
            (p, Some(q)) => {
                let start = p.map_or(Homogeneous::INFINITY, |p| homogeneous(&p));
                let q = homogeneous(&q);
                start.add(&q.x, &q.y)
            }
            (Some(p), None) => homogeneous(&p),
            (None, None) => Homogeneous::INFINITY,
        };
        let inverse = sum.z.invert();
        let bytes = concatenate(&[sum.x.multiply(&inverse), sum.y.multiply(&inverse)]);
        assert_eq!(if bool::from(sum.z.is_zero().choice()) { [0; 64] } else { bytes }, expected);
        used += 1;
    }
    assert!(used >= 10, "{used}");
}

fn homogeneous(p: &G1Point) -> Homogeneous<Element<Portable>> {
    Homogeneous { x: Element::from_bytes(p.x()), y: Element::from_bytes(p.y()), z: Arithmetic::ONE }
}
