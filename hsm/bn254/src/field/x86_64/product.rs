//! Products, squares and sums of two products, each with one reduction, in assembly. Not for the
//! cheaper operations.
//!
//! Products are formed whole, in eight limbs t0..t7, and only then reduced: the reduction works on
//! the low half alone, so the high half's additions fill the waiting time of its dependency chain.
//! One row multiplies one limb (rdx) with four; the low words ride on the carry flag, the high
//! words on the overflow flag.
//!
//! The reduction's first two rounds use N = (p·v + 1)/2^64 with v = −p⁻¹ mod 2^64: t ← ⌊t/2^64⌋ +
//! t0·N, without the multiplication that finds the multiple of p first. Each leaves five limbs:
//! below 2^256 + 2^64·N, then below 2^192 + 2^64·N·(1 + 2^-64). The last two rounds add the
//! multiples of p that clear the lowest limb. With a product T the result is therefore below
//! T/2^256 + p·(1 + 2^-62), and the sum of both parts must fit four limbs.
#![allow(unsafe_code)] // inline assembly

use core::arch::asm;

use crate::constants::{Limbs, N_PRIME, P, P_NEG_INV_64};

/// What the assembly reads, at the offsets that the rows below use.
#[repr(C)]
struct Constants {
    p: Limbs,
    n_prime: Limbs,
    p_neg_inv: u64,
}

static CONSTANTS: Constants = Constants { p: P, n_prime: N_PRIME, p_neg_inv: P_NEG_INV_64 };

/// Row 0 of a product: t0..t4 = a·rdx.
macro_rules! first_row {
    ($a:literal) => {
        concat!(
            "mulx {t1}, {t0}, [",
            $a,
            "]\n",
            "mulx {t2}, {l}, [",
            $a,
            " + 8]\n add {t1}, {l}\n",
            "mulx {t3}, {l}, [",
            $a,
            " + 16]\n adc {t2}, {l}\n",
            "mulx {t4}, {l}, [",
            $a,
            " + 24]\n adc {t3}, {l}\n adc {t4}, 0\n",
        )
    };
}

/// t0..t4 += (four limbs at a)·rdx, where CF = OF = 0 and the sum fits.
macro_rules! row {
    ($a:literal, $t0:literal, $t1:literal, $t2:literal, $t3:literal, $t4:literal) => {
        concat!(
            "mulx {h}, {l}, [",
            $a,
            "]\n adcx {",
            $t0,
            "}, {l}\n adox {",
            $t1,
            "}, {h}\n",
            "mulx {h}, {l}, [",
            $a,
            " + 8]\n adcx {",
            $t1,
            "}, {l}\n adox {",
            $t2,
            "}, {h}\n",
            "mulx {h}, {l}, [",
            $a,
            " + 16]\n adcx {",
            $t2,
            "}, {l}\n adox {",
            $t3,
            "}, {h}\n",
            "mulx {h}, {l}, [",
            $a,
            " + 24]\n adcx {",
            $t3,
            "}, {l}\n adox {",
            $t4,
            "}, {h}\n",
            "adc {",
            $t4,
            "}, 0\n",
        )
    };
}

/// A row whose top limb is new: it starts at zero, and the xor clears both flags.
macro_rules! new_row {
    ($digit:literal, $a:literal, $t0:literal, $t1:literal, $t2:literal, $t3:literal, $t4:literal) => {
        concat!(
            "mov rdx, [",
            $digit,
            "]\n xor {",
            $t4,
            ":e}, {",
            $t4,
            ":e}\n",
            row!($a, $t0, $t1, $t2, $t3, $t4)
        )
    };
}

/// t4..t7 + (t0..t3 reduced), into t0, a, t1, t2: the pointer a is no longer needed.
macro_rules! reduce {
    () => {
        concat!(
            // t ← ⌊t/2^64⌋ + t0·N, twice; a limb that is used up becomes the new top.
            "mov rdx, {t0}\n xor {a:e}, {a:e}\n mov {t0}, {a}\n",
            row!("rip + {c} + 32", "t1", "t2", "t3", "t0", "a"),
            "mov rdx, {t1}\n xor {t1:e}, {t1:e}\n",
            row!("rip + {c} + 32", "t2", "t3", "t0", "a", "t1"),
            // t ← (t + m·p)/2^64, twice; the lowest limb becomes zero by itself.
            "mov rdx, [rip + {c} + 64]\n imul rdx, {t2}\n xor {h:e}, {h:e}\n",
            row!("rip + {c}", "t2", "t3", "t0", "a", "t1"),
            "mov rdx, [rip + {c} + 64]\n imul rdx, {t3}\n xor {h:e}, {h:e}\n",
            row!("rip + {c}", "t3", "t0", "a", "t1", "t2"),
            "add {t0}, {t4}\n adc {a}, {t5}\n adc {t1}, {t6}\n adc {t2}, {t7}\n",
        )
    };
}

/// Adds both carries of a row that ends in a live limb into the next limb, which was zero.
macro_rules! both_carries {
    ($t5:literal) => {
        concat!("adox {", $t5, "}, {", $t5, "}\n adc {", $t5, "}, 0\n")
    };
}

/// As `row`, onto five live limbs: the carries go to the sixth, a new one.
macro_rules! second_row {
    ($a:literal, $t0:literal, $t1:literal, $t2:literal, $t3:literal, $t4:literal, $t5:literal) => {
        concat!(
            "xor {",
            $t5,
            ":e}, {",
            $t5,
            ":e}\n",
            "mulx {h}, {l}, [",
            $a,
            "]\n adcx {",
            $t0,
            "}, {l}\n adox {",
            $t1,
            "}, {h}\n",
            "mulx {h}, {l}, [",
            $a,
            " + 8]\n adcx {",
            $t1,
            "}, {l}\n adox {",
            $t2,
            "}, {h}\n",
            "mulx {h}, {l}, [",
            $a,
            " + 16]\n adcx {",
            $t2,
            "}, {l}\n adox {",
            $t3,
            "}, {h}\n",
            "mulx {h}, {l}, [",
            $a,
            " + 24]\n adcx {",
            $t3,
            "}, {l}\n adox {",
            $t4,
            "}, {h}\n",
            "adcx {",
            $t4,
            "}, {",
            $t5,
            "}\n",
            both_carries!($t5)
        )
    };
}

/// As `row`, onto five live limbs that hold the sum.
macro_rules! same_row {
    ($a:literal, $t0:literal, $t1:literal, $t2:literal, $t3:literal, $t4:literal) => {
        concat!("xor {l:e}, {l:e}\n", row!($a, $t0, $t1, $t2, $t3, $t4))
    };
}

/// a·b/2^256 mod p.
#[rustfmt::skip] // a row of the schoolbook product per line
#[inline(always)]
pub(crate) fn multiply(a: &Limbs, b: &Limbs) -> Limbs {
    let (r0, r1, r2, r3);
    // SAFETY: reads the two operands and the constants, writes registers only.
    unsafe {
        asm!(
            "mov rdx, [{b}]",
            first_row!("{a}"),
            new_row!("{b} + 8", "{a}", "t1", "t2", "t3", "t4", "t5"),
            new_row!("{b} + 16", "{a}", "t2", "t3", "t4", "t5", "t6"),
            new_row!("{b} + 24", "{a}", "t3", "t4", "t5", "t6", "t7"),
            reduce!(),
            a = inout(reg) a.as_ptr() => r1, b = in(reg) b.as_ptr(), c = sym CONSTANTS,
            t0 = out(reg) r0, t1 = out(reg) r2, t2 = out(reg) r3, t3 = out(reg) _,
            t4 = out(reg) _, t5 = out(reg) _, t6 = out(reg) _, t7 = out(reg) _,
            h = out(reg) _, l = out(reg) _, out("rdx") _,
            options(pure, readonly, nostack),
        );
    }
    [r0, r1, r2, r3]
}

/// a²/2^256 mod p: the six mixed products, doubled on the carry flag while the four squares ride on
/// the overflow flag.
#[rustfmt::skip] // a row of the schoolbook product per line
#[inline(always)]
pub(crate) fn square(a: &Limbs) -> Limbs {
    let (r0, r1, r2, r3);
    // SAFETY: reads the operand and the constants, writes registers only.
    unsafe {
        asm!(
            "mov rdx, [{a}]",
            "mulx {t2}, {t1}, [{a} + 8]",
            "mulx {t3}, {l}, [{a} + 16]", "add {t2}, {l}",
            "mulx {t4}, {l}, [{a} + 24]", "adc {t3}, {l}", "adc {t4}, 0",
            "mov rdx, [{a} + 8]", "xor {t5:e}, {t5:e}",
            "mulx {h}, {l}, [{a} + 16]", "adcx {t3}, {l}", "adox {t4}, {h}",
            "mulx {h}, {l}, [{a} + 24]", "adcx {t4}, {l}", "adox {t5}, {h}",
            "mov rdx, [{a} + 16]",
            "mulx {t6}, {l}, [{a} + 24]", "adc {t5}, {l}", "adc {t6}, 0",
            "mov rdx, [{a}]", "xor {t7:e}, {t7:e}",
            "mulx {h}, {t0}, rdx", "adcx {t1}, {t1}", "adox {t1}, {h}",
            "mov rdx, [{a} + 8]",
            "mulx {h}, {l}, rdx", "adcx {t2}, {t2}", "adox {t2}, {l}", "adcx {t3}, {t3}", "adox {t3}, {h}",
            "mov rdx, [{a} + 16]",
            "mulx {h}, {l}, rdx", "adcx {t4}, {t4}", "adox {t4}, {l}", "adcx {t5}, {t5}", "adox {t5}, {h}",
            "mov rdx, [{a} + 24]",
            "mulx {h}, {l}, rdx", "adcx {t6}, {t6}", "adox {t6}, {l}", "adcx {t7}, {t7}", "adox {t7}, {h}",
            reduce!(),
            a = inout(reg) a.as_ptr() => r1, c = sym CONSTANTS,
            t0 = out(reg) r0, t1 = out(reg) r2, t2 = out(reg) r3, t3 = out(reg) _,
            t4 = out(reg) _, t5 = out(reg) _, t6 = out(reg) _, t7 = out(reg) _,
            h = out(reg) _, l = out(reg) _, out("rdx") _,
            options(pure, readonly, nostack),
        );
    }
    [r0, r1, r2, r3]
}

/// (a·b + c·d)/2^256 mod p. Row by row: after the rows of index i the sum is below (a +
/// c)·2^(64(i+1)) and fits the limbs up to i + 5; the last sum is below 2^512.
///
/// The pointer to d waits in a vector register: fourteen general ones are all that there are.
#[rustfmt::skip] // a row of the schoolbook product per line
#[inline(always)]
pub(crate) fn sum_of_products(a: &Limbs, b: &Limbs, c: &Limbs, d: &Limbs) -> Limbs {
    let (r0, r1, r2, r3);
    // SAFETY: reads the four operands and the constants, writes registers only.
    unsafe {
        asm!(
            "mov rdx, [{b}]", first_row!("{a}"),
            "movq {l}, {d}", "mov rdx, [{l}]", second_row!("{e}", "t0", "t1", "t2", "t3", "t4", "t5"),
            "mov rdx, [{b} + 8]", same_row!("{a}", "t1", "t2", "t3", "t4", "t5"),
            "movq {l}, {d}", "mov rdx, [{l} + 8]", second_row!("{e}", "t1", "t2", "t3", "t4", "t5", "t6"),
            "mov rdx, [{b} + 16]", same_row!("{a}", "t2", "t3", "t4", "t5", "t6"),
            "movq {l}, {d}", "mov rdx, [{l} + 16]", second_row!("{e}", "t2", "t3", "t4", "t5", "t6", "t7"),
            "mov rdx, [{b} + 24]", same_row!("{a}", "t3", "t4", "t5", "t6", "t7"),
            "movq {l}, {d}", "mov rdx, [{l} + 24]", same_row!("{e}", "t3", "t4", "t5", "t6", "t7"),
            reduce!(),
            a = inout(reg) a.as_ptr() => r1, e = in(reg) c.as_ptr(), c = sym CONSTANTS,
            t0 = out(reg) r0, t1 = out(reg) r2, t2 = out(reg) r3, t3 = out(reg) _,
            t4 = out(reg) _, t5 = out(reg) _,
            t6 = out(reg) _, t7 = out(reg) _, b = in(reg) b.as_ptr(),
            d = in(xmm_reg) d.as_ptr().expose_provenance() as u64,
            h = out(reg) _, l = out(reg) _, out("rdx") _,
            options(pure, readonly, nostack),
        );
    }
    [r0, r1, r2, r3]
}
