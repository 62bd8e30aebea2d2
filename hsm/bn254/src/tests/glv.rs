//! The scalar split and its digits as properties. Not for points.

use ark_bn254::Fr;
use ark_ff::PrimeField;
use proptest::prelude::*;

use super::inputs::{Stream, big, cases, edges, lambda, limbs};
use crate::constants::{LATTICE_M, LATTICE_N1, LATTICE_N2, ORDER};
use crate::glv::{Half, split};

/// Twice 1.034·2^125, the bound that the windows and the lattice argument use.
const BOUND: u128 = (1u128 << 126) / 1000 * 1034;

fn signed(half: &Half) -> Fr {
    let magnitude = Fr::from(half.magnitude);
    if half.negative == 0 { magnitude } else { -magnitude }
}

fn check(k: Fr) {
    let halves = split(&k.into_bigint().0);
    assert_eq!(signed(&halves[0]) + signed(&halves[1]) * lambda(), k);
    for half in &halves {
        assert!(half.magnitude < BOUND);
        let sixteen = Fr::from(16u8);
        let mut sum = Fr::from(0u8);
        for window in (0..Half::WINDOWS).rev() {
            let digit = half.digit(window);
            assert!(digit.magnitude <= 8);
            let magnitude = Fr::from(digit.magnitude);
            sum = sum * sixteen + if digit.negative.bits() == 0 { magnitude } else { -magnitude };
        }
        assert_eq!(sum, signed(half));
    }
}

#[test]
fn edge_scalars_are_the_sum_of_short_halves() {
    edges().into_iter().for_each(check);
}

#[test]
fn random_scalars_are_the_sum_of_short_halves() {
    let mut stream = Stream::new("split");
    for _ in 0..cases(3_000, 200_000) {
        check(stream.scalar());
    }
}

/// Scalars half-way between lattice points have the longest halves.
#[test]
fn scalars_far_from_the_lattice_are_the_sum_of_short_halves() {
    let (n1, n2, m) = (Fr::from(LATTICE_N1 / 2), Fr::from(LATTICE_N2 / 2), Fr::from(LATTICE_M / 2));
    for a in [n1 + m, n1 - m, -n1 + m, -n1 - m] {
        for b in [n2 + m, n2 - m, -n2 + m, -n2 - m] {
            for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                check(a + Fr::from(i) + (b + Fr::from(j)) * lambda());
            }
        }
    }
}

proptest! {
    #[test]
    fn any_scalar_is_the_sum_of_short_halves(k in prop::array::uniform4(any::<u64>())) {
        check(Fr::from(big(&limbs(&(big(&k) % big(&ORDER))))));
    }
}
