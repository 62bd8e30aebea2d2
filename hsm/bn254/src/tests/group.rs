//! The group laws as properties of the multiplication. Not for an oracle: these hold without one.

use ark_bn254::Fr;
use ark_ff::PrimeField;
use proptest::prelude::*;

use super::inputs::{Stream, cases, scalar_bytes};
use crate::affine::G1Point;
use crate::fault::{FaultCheck, multiply_checked};
use crate::fixed_base::{initialise, multiply_g1_generator};
use crate::internals;
use crate::mul::multiply;
use crate::scalar::scalar_in_range;

fn scalar() -> impl Strategy<Value = Fr> {
    any::<[u8; 32]>()
        .prop_map(|bytes| Fr::from_be_bytes_mod_order(&bytes))
        .prop_filter("not zero", |k| *k != Fr::from(0u8))
}

fn times(k: Fr, p: &G1Point) -> G1Point {
    G1Point::from_bytes(&multiply(&scalar_bytes(k), p, &[5; 32])).unwrap()
}

fn negated(p: &G1Point) -> G1Point {
    times(-Fr::from(1u8), p)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn products_compose(a in scalar(), b in scalar(), seed in scalar()) {
        let p = times(seed, &G1Point::generator());
        prop_assert_eq!(times(a, &times(b, &p)), times(a * b, &p));
    }

    #[test]
    fn products_distribute(a in scalar(), b in scalar(), seed in scalar()) {
        prop_assume!(a + b != Fr::from(0u8));
        let p = times(seed, &G1Point::generator());
        let sum = ark_bn254::G1Affine::from(&times(a, &p)) + ark_bn254::G1Affine::from(&times(b, &p));
        prop_assert_eq!(times(a + b, &p), G1Point::try_from(ark_ec::CurveGroup::into_affine(sum)).unwrap());
    }

    #[test]
    fn a_negative_scalar_negates(k in scalar()) {
        let p = times(k, &G1Point::generator());
        prop_assert_eq!(times(-k, &G1Point::generator()), negated(&p));
        prop_assert_eq!(*p.x(), *negated(&p).x());
    }

    #[test]
    fn variable_and_fixed_base_agree(k in scalar()) {
        let k = scalar_bytes(k);
        prop_assert_eq!(multiply(&k, &G1Point::generator(), &[9; 32]), multiply_g1_generator(&k));
    }
}

#[test]
fn the_fuzzed_property_holds_for_a_few_thousand_inputs() {
    let mut stream = Stream::new("fuzz");
    for _ in 0..cases(500, 20_000) {
        let data: Vec<u8> = [stream.bytes(), stream.bytes(), stream.bytes()].concat();
        internals::check_any_bytes(&data);
    }
    internals::check_any_bytes(&[]);
    internals::check_any_bytes(&[0; 96]);
    internals::check_any_bytes(&[0xff; 96]);
}

/// What the enclave needs, through the public functions alone.
#[test]
fn the_public_functions_keep_their_contract() {
    initialise();
    assert!(!bool::from(scalar_in_range(&[0; 32])));
    let k = scalar_bytes(Stream::new("bn254").scalar());
    assert!(bool::from(scalar_in_range(&k)));
    let (g, key) = (G1Point::generator(), G1Point::from_bytes(&multiply_g1_generator(&k)).unwrap());
    for check in [FaultCheck::Linear, FaultCheck::Curve] {
        assert_eq!(multiply_checked(&k, &g, &key, check, &[8; 32]), Ok(key.to_bytes()));
    }
    assert!(multiply_checked(&k, &key, &g, FaultCheck::Linear, &[8; 32]).is_err());
}
