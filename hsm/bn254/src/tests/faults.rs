//! Injected faults: nothing wrong is ever released. Not for the cost of the checks.

use std::cell::Cell;

use ark_bn254::Fr;

use super::inputs::{Stream, cases, expected, scalar_bytes};
use crate::affine::G1Point;
use crate::constants::Limbs;
use crate::fault::{Fault, FaultCheck, multiply_checked, multiply_linear};
use crate::field::{FieldBackend, Portable};
use crate::fixed_base::multiply_g1_generator;
use crate::mask::Mask;
use crate::scalar::scalar_in_range;

thread_local! {
    /// Field operations until the fault, and the bit that it flips.
    static FAULT: Cell<(u64, u32)> = const { Cell::new((u64::MAX, 0)) };
}

/// The portable backend on a machine that fails once: one bit of one result, or one selection, is
/// flipped. As everything from the blinding to the encoding of the result is made of these
/// operations, faults hit tables, accumulators, digits' signs, the inversion's end and the checks
/// themselves.
#[derive(Clone, Copy)]
struct Faulty;

fn faulty_now() -> Option<u32> {
    FAULT.with(|fault| {
        let (left, bit) = fault.get();
        fault.set((left.wrapping_sub(1), bit));
        (left == 0).then_some(bit)
    })
}

fn flipped(mut value: Limbs) -> Limbs {
    if let Some(bit) = faulty_now() {
        value[bit as usize / 64] ^= 1 << (bit % 64);
    }
    value
}

impl FieldBackend for Faulty {
    fn multiply(a: &Limbs, b: &Limbs) -> Limbs {
        flipped(Portable::multiply(a, b))
    }
    fn square(a: &Limbs) -> Limbs {
        flipped(Portable::square(a))
    }
    fn sum_of_products(a: &Limbs, b: &Limbs, c: &Limbs, d: &Limbs) -> Limbs {
        flipped(Portable::sum_of_products(a, b, c, d))
    }
    fn subtract_if_not_below(a: &Limbs, m: &Limbs) -> Limbs {
        flipped(Portable::subtract_if_not_below(a, m))
    }
    fn subtract(a: &Limbs, b: &Limbs, m: &Limbs) -> Limbs {
        flipped(Portable::subtract(a, b, m))
    }
    fn half(a: &Limbs) -> Limbs {
        flipped(Portable::half(a))
    }
    fn select(mask: Mask, a: &Limbs, b: &Limbs) -> Limbs {
        let mask = if faulty_now().is_some() { !mask } else { mask };
        Portable::select(mask, a, b)
    }
}

fn key(k: &[u8; 32]) -> G1Point {
    G1Point::from_bytes(&multiply_g1_generator(k)).unwrap()
}

#[test]
fn checked_products_are_released_and_equal() {
    let mut stream = Stream::new("checked");
    for _ in 0..cases(200, 20_000) {
        let (k, p) = (stream.scalar(), stream.point());
        let bytes = scalar_bytes(k);
        assert_eq!(
            multiply_checked(&bytes, &p, &key(&bytes), FaultCheck::Linear, &stream.bytes()),
            Ok(expected(k, &p))
        );
        assert_eq!(
            multiply_checked(&bytes, &p, &key(&bytes), FaultCheck::Curve, &stream.bytes()),
            Ok(expected(k, &p))
        );
    }
}

/// P + G1 is a doubling for P = G1 and infinity for P = −G1; for small k the sums k·P + g1 are
/// doublings or infinity too.
#[test]
fn the_generator_and_its_negative_pass_the_check() {
    let g = G1Point::generator();
    let negated = G1Point::from_bytes(&expected(-Fr::from(1u8), &g)).unwrap();
    let doubled = [Fr::from(2u8), -Fr::from(2u8)].map(|k| G1Point::from_bytes(&expected(k, &g)).unwrap());
    let mut stream = Stream::new("generator");
    let scalars = (1..5u64).flat_map(|i| [Fr::from(i), -Fr::from(i)]).chain((0..20).map(|_| stream.scalar()));
    for k in scalars.collect::<Vec<_>>() {
        for p in [g, negated, doubled[0], doubled[1]] {
            let bytes = scalar_bytes(k);
            assert_eq!(
                multiply_checked(&bytes, &p, &key(&bytes), FaultCheck::Linear, &stream.bytes()),
                Ok(expected(k, &p)),
                "{k}"
            );
        }
    }
}

#[test]
fn a_transient_fault_anywhere_is_never_released() {
    let mut stream = Stream::new("faults");
    let (k, p) = (stream.scalar(), stream.point());
    let (bytes, blinding) = (scalar_bytes(k), stream.bytes());
    let key = key(&bytes);
    FAULT.set((u64::MAX, 0));
    let _ = multiply_linear::<Faulty>(&bytes, &p, &key, &blinding);
    let operations = u64::MAX - FAULT.get().0;
    assert!(operations > 5_000);
    let (mut rejected, mut harmless) = (0, 0);
    for number in (0..operations).step_by(cases(37, 1)) {
        FAULT.set((number, (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u32));
        let (result, on_curve, agrees) = multiply_linear::<Faulty>(&bytes, &p, &key, &blinding);
        if bool::from((on_curve & agrees).choice()) {
            assert_eq!(result, expected(k, &p), "operation {number}");
            harmless += 1;
        } else {
            rejected += 1;
        }
    }
    // Harmless: a discarded sum, an addition of p, the blinding itself.
    assert!(rejected > 2 * harmless, "{rejected} rejected, {harmless} harmless");
}

#[test]
fn a_scalar_with_a_flipped_bit_no_longer_agrees_with_its_key() {
    let mut stream = Stream::new("flipped scalar");
    let (k, p) = (scalar_bytes(stream.scalar()), stream.point());
    let key = key(&k);
    for bit in 2..256 {
        let mut flipped = k;
        flipped[bit / 8] ^= 0x80 >> (bit % 8);
        if bool::from(scalar_in_range(&flipped)) {
            assert_eq!(
                multiply_checked(&flipped, &p, &key, FaultCheck::Linear, &stream.bytes()),
                Err(Fault::Mismatch),
                "{bit}"
            );
        }
    }
}

#[test]
fn another_keys_public_point_is_a_mismatch() {
    let mut stream = Stream::new("other key");
    let (k, other, p) = (scalar_bytes(stream.scalar()), scalar_bytes(stream.scalar()), stream.point());
    assert_eq!(multiply_checked(&k, &p, &key(&other), FaultCheck::Linear, &[1; 32]), Err(Fault::Mismatch));
    // The scalar's negative is right on the curve and wrong for the key.
    let negative = scalar_bytes(-<Fr as ark_ff::PrimeField>::from_be_bytes_mod_order(&k));
    assert_eq!(multiply_checked(&k, &p, &key(&negative), FaultCheck::Linear, &[1; 32]), Err(Fault::Mismatch));
}
