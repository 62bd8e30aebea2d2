//! The field's arithmetic in assembly for x86-64 with BMI2 (mulx) and ADX (adcx, adox). Not for
//! choosing it: see `dispatch`.
#![allow(unsafe_code)] // inline assembly

use core::arch::asm;

use super::backend::FieldBackend;
use crate::constants::{Limbs, P};
use crate::mask::Mask;

mod product;

/// Assembly. Only for a processor on which [`is_supported`] is true.
#[derive(Clone, Copy)]
pub(crate) struct Assembly;

cpufeatures::new!(bmi2_and_adx, "bmi2", "adx");

/// Whether the processor has the instructions. It is asked once, and the answer is kept.
pub(crate) fn is_supported() -> bool {
    bmi2_and_adx::get()
}

impl FieldBackend for Assembly {
    #[inline(always)]
    fn multiply(a: &Limbs, b: &Limbs) -> Limbs {
        product::multiply(a, b)
    }
    #[inline(always)]
    fn square(a: &Limbs) -> Limbs {
        product::square(a)
    }
    #[inline(always)]
    fn sum_of_products(a: &Limbs, b: &Limbs, c: &Limbs, d: &Limbs) -> Limbs {
        product::sum_of_products(a, b, c, d)
    }
    #[inline(always)]
    fn subtract_if_not_below(a: &Limbs, m: &Limbs) -> Limbs {
        subtract_if_not_below(a, m)
    }
    #[inline(always)]
    fn subtract(a: &Limbs, b: &Limbs, m: &Limbs) -> Limbs {
        subtract(a, b, m)
    }
    #[inline(always)]
    fn half(a: &Limbs) -> Limbs {
        half(a)
    }
    #[inline(always)]
    fn select(mask: Mask, a: &Limbs, b: &Limbs) -> Limbs {
        select(mask, a, b)
    }
}

/// a − m if that is not negative, else a.
#[inline(always)]
fn subtract_if_not_below(a: &Limbs, m: &Limbs) -> Limbs {
    let [mut r0, mut r1, mut r2, mut r3] = *a;
    // SAFETY: reads the constant, writes registers only.
    unsafe {
        asm!(
            "mov {d0}, {r0}", "sub {d0}, [{m}]",
            "mov {d1}, {r1}", "sbb {d1}, [{m} + 8]",
            "mov {d2}, {r2}", "sbb {d2}, [{m} + 16]",
            "mov {d3}, {r3}", "sbb {d3}, [{m} + 24]",
            "cmovnc {r0}, {d0}", "cmovnc {r1}, {d1}", "cmovnc {r2}, {d2}", "cmovnc {r3}, {d3}",
            m = in(reg) m.as_ptr(), r0 = inout(reg) r0, r1 = inout(reg) r1, r2 = inout(reg) r2, r3 = inout(reg) r3,
            d0 = out(reg) _, d1 = out(reg) _, d2 = out(reg) _, d3 = out(reg) _,
            options(pure, readonly, nostack),
        );
    }
    [r0, r1, r2, r3]
}

/// a − b, plus m if that is negative.
#[inline(always)]
fn subtract(a: &Limbs, b: &Limbs, m: &Limbs) -> Limbs {
    let [mut r0, mut r1, mut r2, mut r3] = *a;
    // SAFETY: reads the operands, writes registers only.
    unsafe {
        asm!(
            "sub {r0}, [{b}]", "sbb {r1}, [{b} + 8]", "sbb {r2}, [{b} + 16]", "sbb {r3}, [{b} + 24]",
            "sbb {d0}, {d0}",
            "mov {d1}, [{m}]", "and {d1}, {d0}",
            "mov {d2}, [{m} + 8]", "and {d2}, {d0}",
            "mov {d3}, [{m} + 16]", "and {d3}, {d0}",
            "and {d0}, [{m} + 24]",
            "add {r0}, {d1}", "adc {r1}, {d2}", "adc {r2}, {d3}", "adc {r3}, {d0}",
            b = in(reg) b.as_ptr(), m = in(reg) m.as_ptr(),
            r0 = inout(reg) r0, r1 = inout(reg) r1, r2 = inout(reg) r2, r3 = inout(reg) r3,
            d0 = out(reg) _, d1 = out(reg) _, d2 = out(reg) _, d3 = out(reg) _,
            options(pure, readonly, nostack),
        );
    }
    [r0, r1, r2, r3]
}

static MODULUS: Limbs = P;

/// a/2 mod p: an odd a gains p first. Double shifts (shrd) are slow on AMD, rotations through the
/// carry are not.
#[inline(always)]
fn half(a: &Limbs) -> Limbs {
    let [mut r0, mut r1, mut r2, mut r3] = *a;
    // SAFETY: reads the constants, writes registers only.
    unsafe {
        asm!(
            "mov {d0}, {r0}",
            "and {d0:e}, 1",
            "neg {d0}",
            "mov {d1}, [rip + {c} + 8]",
            "and {d1}, {d0}",
            "mov {d2}, [rip + {c} + 16]",
            "and {d2}, {d0}",
            "mov {d3}, [rip + {c} + 24]",
            "and {d3}, {d0}",
            "and {d0}, [rip + {c}]",
            "add {r0}, {d0}",
            "adc {r1}, {d1}",
            "adc {r2}, {d2}",
            "adc {r3}, {d3}",
            "shr {r3}, 1",
            "rcr {r2}, 1",
            "rcr {r1}, 1",
            "rcr {r0}, 1",
            c = sym MODULUS, r0 = inout(reg) r0, r1 = inout(reg) r1, r2 = inout(reg) r2, r3 = inout(reg) r3,
            d0 = out(reg) _, d1 = out(reg) _, d2 = out(reg) _, d3 = out(reg) _,
            options(pure, readonly, nostack),
        );
    }
    [r0, r1, r2, r3]
}

/// a if the mask is true, else b. Moves, not masks: the compiler turns masks into vectors that
/// stall on the next load.
#[inline(always)]
fn select(mask: Mask, a: &Limbs, b: &Limbs) -> Limbs {
    let [mut r0, mut r1, mut r2, mut r3] = *b;
    // SAFETY: reads the operand, writes registers only.
    unsafe {
        asm!(
            "test {mask}, {mask}",
            "cmovnz {r0}, [{a}]", "cmovnz {r1}, [{a} + 8]", "cmovnz {r2}, [{a} + 16]", "cmovnz {r3}, [{a} + 24]",
            mask = in(reg) mask.bits(), a = in(reg) a.as_ptr(),
            r0 = inout(reg) r0, r1 = inout(reg) r1, r2 = inout(reg) r2, r3 = inout(reg) r3,
            options(pure, readonly, nostack),
        );
    }
    [r0, r1, r2, r3]
}
