//! The backends against big integers, above all at the top of their ranges, which random operands
//! never reach. Not for points.

use std::sync::OnceLock;

use ark_bn254::Fq;
use ark_ff::{Field, PrimeField};
use num_bigint::BigUint;
use proptest::prelude::*;

use super::inputs::{Stream, big, cases, limbs};
use crate::constants::{Limbs, P, P2, P4, R2};
use crate::field::{Arithmetic, Element, FieldBackend, Portable};
#[cfg(target_arch = "x86_64")]
use crate::field::{Assembly, assembly_is_supported};
use crate::mask::Mask;

fn p() -> BigUint {
    big(&P)
}

/// Numbers at and just below every multiple of p that fits, with all-ones and all-zeros limbs mixed
/// in.
fn extremes(limit: &BigUint) -> Vec<Limbs> {
    let top = BigUint::from(1u8) << 256u32;
    let mut numbers: Vec<BigUint> = (0..6u8).flat_map(|i| [p() * i, p() * i + 1u8]).collect();
    numbers.extend((1..6u8).map(|i| p() * i - 1u8));
    numbers.extend([limit.clone(), limit - 1u8, &top - 1u8]);
    let ones = u64::MAX;
    for pattern in 0..16u8 {
        for high in [P[3], P2[3], P4[3], P2[3] - 1, P4[3] - 1, 0, 1, ones >> 1] {
            let limb = |i: u8| if pattern >> i & 1 == 1 { ones } else { 0 };
            numbers.push(big(&[limb(0), limb(1), limb(2), high.wrapping_sub(u64::from(pattern >> 3 & 1))]));
        }
    }
    numbers.retain(|number| number <= limit);
    numbers.sort();
    numbers.dedup();
    numbers.iter().map(limbs).collect()
}

/// x/2^256 mod p.
fn reduced(x: BigUint) -> BigUint {
    static INVERSE: OnceLock<BigUint> = OnceLock::new();
    let inverse = INVERSE.get_or_init(|| (BigUint::from(1u8) << 256u32).modinv(&p()).unwrap());
    x * inverse % p()
}

/// Right mod p and within the bound that `FieldBackend` promises.
fn check(result: &Limbs, x: BigUint) {
    let value = big(result);
    assert_eq!(&value % p(), reduced(x.clone()));
    assert!(value <= (x >> 256u32) + p() + (p() >> 62u32) + 1u8);
}

fn drive_backend<B: FieldBackend>() {
    let wide = extremes(&big(&P4));
    for a in &wide {
        check(&B::square(a), big(a) * big(a));
        let half = B::half(a);
        assert_eq!(big(&half) * 2u8, if a[0] & 1 == 1 { big(a) + p() } else { big(a) });
        for b in &wide {
            check(&B::multiply(a, b), big(a) * big(b));
            for m in [P, P2, P4].into_iter().filter(|m| big(b) <= big(m)) {
                let difference = if big(a) >= big(b) { big(a) - big(b) } else { big(a) + big(&m) - big(b) };
                assert_eq!(big(&B::subtract(a, b, &m)), difference);
            }
            assert_eq!(B::select(Mask::from_bit(1), a, b), *a);
            assert_eq!(B::select(Mask::from_bit(0), a, b), *b);
        }
        for m in [P, P2] {
            let expected = if big(a) >= big(&m) { big(a) - big(&m) } else { big(a) };
            assert_eq!(big(&B::subtract_if_not_below(a, &m)), expected);
        }
    }
    drive_sums::<B>(&wide);
}

/// Pairs whose products together still fit, up to the sum's largest allowed value.
fn drive_sums<B: FieldBackend>(operands: &[Limbs]) {
    let capacity = BigUint::from(1u8) << 256u32;
    let largest = (&capacity - p() - (p() >> 60u32)) << 256u32;
    let mut used = 0;
    let step = cases(16, 1);
    for (i, a) in operands.iter().enumerate() {
        for b in operands.iter().skip(i % step).step_by(step) {
            for c in operands.iter().rev().take(12) {
                for d in operands.iter().rev().step_by(5) {
                    let sum = big(a) * big(b) + big(c) * big(d);
                    if sum <= largest {
                        check(&B::sum_of_products(a, b, c, d), sum);
                        used += 1;
                    }
                }
            }
        }
    }
    assert!(used > 1000);
}

#[test]
fn the_portable_backend_is_right_at_the_top_of_its_range() {
    drive_backend::<Portable>();
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_assembly_is_right_at_the_top_of_its_range() {
    if assembly_is_supported() {
        drive_backend::<Assembly>();
    }
}

#[test]
fn inverses_are_those_of_arkworks() {
    let mut stream = Stream::new("inverses");
    let mut numbers: Vec<BigUint> =
        (0..cases(500, 100_000)).map(|_| BigUint::from_bytes_be(&stream.bytes()) % p()).collect();
    numbers.extend((0..254u32).flat_map(|i| [BigUint::from(1u8) << i, p() - (BigUint::from(1u8) << i)]));
    numbers.extend([BigUint::ZERO, p() - 1u8, p() >> 1u32]);
    for number in numbers {
        let inverse = Element::<Portable>::from_limbs(Portable::multiply(&R2, &limbs(&number))).invert();
        let expected = Fq::from(number).inverse().unwrap_or_default();
        assert_eq!(inverse.canonical(), expected.into_bigint().0);
    }
}

#[test]
fn all_forms_of_zero_are_zero_and_have_no_inverse() {
    for i in 0..6u8 {
        let zero = Element::<Portable>::from_limbs(limbs(&(p() * i)));
        assert!(bool::from(zero.is_zero().choice()));
        assert!(bool::from(zero.invert().is_zero().choice()));
    }
}

#[test]
fn masks_are_all_or_nothing() {
    for value in [0, 1, 2, u64::MAX, 1 << 63, (1 << 63) - 1] {
        assert_eq!(Mask::is_zero(value).bits(), if value == 0 { u64::MAX } else { 0 });
        assert_eq!(Mask::equal(value, 1).bits(), if value == 1 { u64::MAX } else { 0 });
    }
}

fn any_limbs() -> impl Strategy<Value = Limbs> {
    prop::array::uniform4(prop_oneof![any::<u64>(), Just(0), Just(u64::MAX)])
        .prop_map(|value| limbs(&(big(&value) % big(&P2))))
}

proptest! {
    #[test]
    fn both_backends_agree(a in any_limbs(), b in any_limbs(), c in any_limbs(), d in any_limbs()) {
        check(&Portable::multiply(&a, &b), big(&a) * big(&b));
        check(&Portable::sum_of_products(&a, &b, &c, &d), big(&a) * big(&b) + big(&c) * big(&d));
        #[cfg(target_arch = "x86_64")]
        if assembly_is_supported() {
            check(&Assembly::multiply(&a, &b), big(&a) * big(&b));
            check(&Assembly::square(&a), big(&a) * big(&a));
            check(&Assembly::sum_of_products(&a, &b, &c, &d), big(&a) * big(&b) + big(&c) * big(&d));
        }
    }

    #[test]
    fn a_product_with_the_inverse_is_one(a in any_limbs()) {
        let a = Element::<Portable>::from_limbs(Portable::multiply(&a, &R2));
        prop_assume!(!bool::from(a.is_zero().choice()));
        prop_assert_eq!(a.invert().multiply(&a).canonical(), [1, 0, 0, 0]);
    }
}
