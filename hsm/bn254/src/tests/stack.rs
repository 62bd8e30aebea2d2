//! How much stack the multiplications use, and that nothing secret stays there. Not for registers:
//! the enclave wipes those.
#![allow(unsafe_code)] // runs on a stack of its own, as the enclave's worker does

use ark_ff::PrimeField;

use super::inputs::{Stream, big, limbs, scalar_bytes};
use crate::affine::G1Point;
use crate::constants::{ORDER, P};
use crate::fault::{FaultCheck, multiply_checked, multiply_linear};
use crate::field::{Portable, dispatch, limbs_from_bytes};
use crate::fixed_base::{
    initialise, multiply_g1_generator, multiply_g1_generator_with, multiply_g2_generator,
    multiply_g2_generator_with,
};
use crate::glv::split;
use crate::mul::{multiply, multiply_with};
use crate::scalar::scalar_in_range;
use crate::stack::STACK_USED;

const SIZE: usize = 64 * 1024;
const PAINT: u8 = 0xa5;

/// Runs on a painted stack and gives back what is on it afterwards.
fn painted(run: impl FnOnce()) -> Vec<u8> {
    let mut stack = vec![PAINT; SIZE + 64];
    let offset = stack.as_ptr().align_offset(64);
    // SAFETY: the stack is SIZE bytes long, aligned, and used by nothing else until the call returns; it
    // grows downwards.
    unsafe { psm::on_stack(stack.as_mut_ptr().add(offset), SIZE, run) };
    stack
}

/// Keeps a call whose result is not needed.
fn ignore<T>(result: T) {
    std::hint::black_box(result);
}

fn used(stack: &[u8]) -> usize {
    stack.len() - stack.iter().take_while(|byte| **byte == PAINT).count()
}

/// Every form that the scalar takes: itself, its halves, its Montgomery forms; whole and by limbs;
/// in both byte orders.
fn traces(k: &[u8; 32]) -> Vec<Vec<u8>> {
    let value = num_bigint::BigUint::from_bytes_be(k);
    let montgomery = |modulus| limbs(&((&value << 256u32) % big(modulus)));
    let mut words: Vec<Vec<u64>> =
        vec![limbs_from_bytes(k).into(), montgomery(&ORDER).into(), montgomery(&P).into()];
    for half in split(&limbs_from_bytes(k)) {
        words.push(vec![half.magnitude as u64, (half.magnitude >> 64) as u64]);
        let negative = half.magnitude.wrapping_neg();
        words.push(vec![negative as u64, (negative >> 64) as u64]);
    }
    let mut traces = Vec::new();
    for form in words {
        for part in form.iter().map(|limb| vec![*limb]).chain([form.clone()]) {
            let little: Vec<u8> = part.iter().flat_map(|limb| limb.to_le_bytes()).collect();
            traces.push(little.iter().rev().copied().collect());
            traces.push(little);
        }
    }
    traces
}

fn found(stack: &[u8], k: &[u8; 32]) -> usize {
    traces(k).iter().filter(|trace| stack.windows(trace.len()).any(|window| window == &trace[..])).count()
}

#[test]
fn a_multiplication_needs_little_stack_and_leaves_nothing_on_it() {
    initialise();
    let mut stream = Stream::new("stack");
    for _ in 0..5 {
        let (k, p) = (Box::new(scalar_bytes(stream.scalar())), stream.point());
        let (key, blinding) = (G1Point::from_bytes(&multiply_g1_generator(&k)).unwrap(), stream.bytes());
        let mut results = Vec::with_capacity(8);
        for stack in [
            painted(|| results.push(multiply(&k, &p, &blinding).to_vec())),
            painted(|| results.push(multiply_g1_generator(&k).to_vec())),
            painted(|| results.push(multiply_g2_generator(&k).to_vec())),
            painted(|| {
                results.push(multiply_checked(&k, &p, &key, FaultCheck::Linear, &blinding).unwrap().to_vec())
            }),
            painted(|| {
                results.push(multiply_checked(&k, &p, &key, FaultCheck::Curve, &blinding).unwrap().to_vec())
            }),
            painted(|| results.push(vec![scalar_in_range(&k).unwrap_u8()])),
        ] {
            assert!(used(&stack) <= 32 * 1024, "{}", used(&stack));
            assert_eq!(found(&stack, &k), 0);
        }
    }
}

/// What `wipe_stack` overwrites is at least what the multiplications use.
#[test]
fn the_wiped_area_is_deep_enough() {
    initialise();
    let mut stream = Stream::new("depth");
    let (k, p) = (scalar_bytes(stream.scalar()), stream.point());
    let depth = |stack: Vec<u8>| used(&stack) - used(&painted(|| ()));
    for stack in [
        painted(|| ignore(dispatch!(multiply_with(&k, &p, &k)))),
        painted(|| ignore(multiply_with::<Portable>(&k, &p, &k))),
        painted(|| ignore(dispatch!(multiply_g1_generator_with(&k)))),
        painted(|| ignore(multiply_g1_generator_with::<Portable>(&k))),
        painted(|| ignore(dispatch!(multiply_g2_generator_with(&k)))),
        painted(|| ignore(multiply_g2_generator_with::<Portable>(&k))),
    ] {
        let depth = depth(stack);
        assert!(depth + 256 <= STACK_USED, "{depth}");
    }
    for stack in [
        painted(|| ignore(dispatch!(multiply_linear(&k, &p, &p, &k)))),
        painted(|| ignore(multiply_linear::<Portable>(&k, &p, &p, &k))),
    ] {
        let depth = depth(stack);
        assert!(depth + 256 <= STACK_USED, "{depth}");
    }
}

/// The scanner finds what is there: a copy of the scalar's limbs that is never wiped.
#[test]
fn the_scan_finds_an_unwiped_scalar() {
    let mut stream = Stream::new("control");
    let k = scalar_bytes(stream.scalar());
    assert!(ark_bn254::Fr::from_be_bytes_mod_order(&k) != ark_bn254::Fr::from(0u8));
    let stack = painted(|| {
        std::hint::black_box(&mut limbs_from_bytes(std::hint::black_box(&k)));
    });
    assert!(found(&stack, &k) >= 5, "{}", found(&stack, &k));
}
