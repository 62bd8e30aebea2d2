//! Inversion mod p in constant time: 590 half-delta division steps. Not for scalars.
//!
//! Bernstein, Yang, "Fast constant-time gcd computation and modular inversion",
//! <https://eprint.iacr.org/2019/266>; the half-delta variant (δ starts at 1/2) and its bound of
//! 590 steps for inputs below 2^256 are from Wuille's analysis for libsecp256k1. Ten batches of 59
//! steps act on the lowest limb alone; each batch is one 2×2 matrix, which is then applied to f, g
//! (exactly divided by 2^62) and to d, e (divided by 2^62 mod p). Invariant: f = d·x, g = e·x mod
//! p.
//!
//! Bounds: limbs are 62 bits, signed in the top one. A batch's matrix starts at 8·I and doubles 59
//! times, so its rows have |u| + |v| ≤ 2^62; f, g stay in (−2^256, 2^256); d, e stay in (−2p, p),
//! so every sum of two products of a 62-bit limb plus a carry fits an i128.

use crate::constants::{Limbs, P_62, P_INV_62};
use crate::mask::opaque;

const LOW_62: u64 = u64::MAX >> 2;

/// An integer in five signed limbs of 62 bits, least significant first.
type Signed62 = [i64; 5];

/// The effect of 59 division steps on (f, g), times 2^62.
struct Matrix {
    u: i64,
    v: i64,
    q: i64,
    r: i64,
}

/// 1/x mod p in 0..p for an integer x < p, and 0 for 0.
pub(crate) fn invert(x: &Limbs) -> Limbs {
    pack(&invert_signed(&unpack(x)))
}

/// 1/x mod p in 0..p, for 0 ≤ x < p.
fn invert_signed(x: &Signed62) -> Signed62 {
    let (mut d, mut e) = ([0; 5], [1, 0, 0, 0, 0]);
    let (mut f, mut g) = (P_62, *x);
    let mut zeta = -1;
    for _ in 0..10 {
        let matrix;
        (zeta, matrix) = division_steps(zeta, f[0] as u64, g[0] as u64);
        (d, e) = apply_mod_p(&d, &e, &matrix);
        (f, g) = apply(&f, &g, &matrix);
    }
    // g is 0 and f is ±1 (or ±p for x = 0, where d is 0 too): the inverse is ±d.
    normalise(&d, f[4])
}

/// 59 division steps on the low 62 bits of f and g; ζ = −(δ + 1/2).
#[inline(always)]
fn division_steps(mut zeta: i64, mut f: u64, mut g: u64) -> (i64, Matrix) {
    // Scaled by 8, so that 59 doublings end at 2^62.
    let (mut u, mut v, mut q, mut r) = (8u64, 0u64, 0u64, 8u64);
    for _ in 0..59 {
        let mut swap = opaque((zeta >> 63) as u64);
        let odd = opaque(0u64.wrapping_sub(g & 1));
        // −f, −u, −v if the step would swap, added to g, q, r if g is odd.
        let x = (f ^ swap).wrapping_sub(swap);
        let y = (u ^ swap).wrapping_sub(swap);
        let z = (v ^ swap).wrapping_sub(swap);
        g = g.wrapping_add(x & odd);
        q = q.wrapping_add(y & odd);
        r = r.wrapping_add(z & odd);
        swap &= odd;
        zeta = (zeta ^ swap as i64).wrapping_sub(1);
        f = f.wrapping_add(g & swap);
        u = u.wrapping_add(q & swap);
        v = v.wrapping_add(r & swap);
        g >>= 1;
        u <<= 1;
        v <<= 1;
    }
    (zeta, Matrix { u: u as i64, v: v as i64, q: q as i64, r: r as i64 })
}

/// a·x + b·y + carry; the bounds of the module keep it inside an i128.
#[inline(always)]
fn combine(a: i64, x: i64, b: i64, y: i64, carry: i128) -> i128 {
    (i128::from(a).wrapping_mul(i128::from(x)))
        .wrapping_add(i128::from(b).wrapping_mul(i128::from(y)))
        .wrapping_add(carry)
}

/// The low 62 bits.
#[inline(always)]
fn low(value: i128) -> i64 {
    (value as u64 & LOW_62) as i64
}

/// (u·f + v·g, q·f + r·g)/2^62: exact, the steps made the low limb zero.
#[inline(always)]
fn apply(f: &Signed62, g: &Signed62, m: &Matrix) -> (Signed62, Signed62) {
    let (mut f_new, mut g_new) = ([0; 5], [0; 5]);
    let mut carry_f = combine(m.u, f[0], m.v, g[0], 0) >> 62;
    let mut carry_g = combine(m.q, f[0], m.r, g[0], 0) >> 62;
    macro_rules! limb {
        ($i:literal) => {
            carry_f = combine(m.u, f[$i], m.v, g[$i], carry_f);
            carry_g = combine(m.q, f[$i], m.r, g[$i], carry_g);
            f_new[$i - 1] = low(carry_f);
            g_new[$i - 1] = low(carry_g);
            carry_f >>= 62;
            carry_g >>= 62;
        };
    }
    limb!(1);
    limb!(2);
    limb!(3);
    limb!(4);
    f_new[4] = carry_f as i64;
    g_new[4] = carry_g as i64;
    (f_new, g_new)
}

/// (u·d + v·e, q·d + r·e)/2^62 mod p, each kept in (−2p, p).
#[inline(always)]
fn apply_mod_p(d: &Signed62, e: &Signed62, m: &Matrix) -> (Signed62, Signed62) {
    // A negative d or e counts as itself plus p: that centres the result.
    let (d_sign, e_sign) = (d[4] >> 63, e[4] >> 63);
    let mut k_d = (m.u & d_sign).wrapping_add(m.v & e_sign);
    let mut k_e = (m.q & d_sign).wrapping_add(m.r & e_sign);
    let mut carry_d = combine(m.u, d[0], m.v, e[0], 0);
    let mut carry_e = combine(m.q, d[0], m.r, e[0], 0);
    // Multiples of p that clear the low limb.
    k_d = k_d.wrapping_sub((P_INV_62.wrapping_mul(carry_d as u64).wrapping_add(k_d as u64) & LOW_62) as i64);
    k_e = k_e.wrapping_sub((P_INV_62.wrapping_mul(carry_e as u64).wrapping_add(k_e as u64) & LOW_62) as i64);
    carry_d = combine(P_62[0], k_d, 0, 0, carry_d) >> 62;
    carry_e = combine(P_62[0], k_e, 0, 0, carry_e) >> 62;
    let (mut d_new, mut e_new) = ([0; 5], [0; 5]);
    macro_rules! limb {
        ($i:literal) => {
            carry_d = combine(P_62[$i], k_d, 0, 0, combine(m.u, d[$i], m.v, e[$i], carry_d));
            carry_e = combine(P_62[$i], k_e, 0, 0, combine(m.q, d[$i], m.r, e[$i], carry_e));
            d_new[$i - 1] = low(carry_d);
            e_new[$i - 1] = low(carry_e);
            carry_d >>= 62;
            carry_e >>= 62;
        };
    }
    limb!(1);
    limb!(2);
    limb!(3);
    limb!(4);
    d_new[4] = carry_d as i64;
    e_new[4] = carry_e as i64;
    (d_new, e_new)
}

/// `d` in (−2p, p), negated if `sign` is negative, brought into 0..p.
fn normalise(d: &Signed62, sign: i64) -> Signed62 {
    let mut value = *d;
    add_p_if(&mut value, d[4] >> 63);
    let negative = opaque((sign >> 63) as u64) as i64;
    for limb in &mut value {
        *limb = (*limb ^ negative).wrapping_sub(negative);
    }
    carry(&mut value);
    let negative = value[4] >> 63;
    add_p_if(&mut value, negative);
    value
}

/// Adds p under a mask of all ones, then restores 62-bit limbs.
fn add_p_if(value: &mut Signed62, mask: i64) {
    let mask = opaque(mask as u64) as i64;
    for (limb, p) in value.iter_mut().zip(P_62) {
        *limb = limb.wrapping_add(p & mask);
    }
    carry(value);
}

/// Moves what exceeds 62 bits to the next limb; the top one keeps the sign.
fn carry(value: &mut Signed62) {
    let mut carry = 0i64;
    let [lower @ .., top] = value;
    for limb in lower {
        let sum = limb.wrapping_add(carry);
        *limb = sum & LOW_62 as i64;
        carry = sum >> 62;
    }
    *top = top.wrapping_add(carry);
}

fn unpack(a: &Limbs) -> Signed62 {
    [
        (a[0] & LOW_62) as i64,
        ((a[0] >> 62 | a[1] << 2) & LOW_62) as i64,
        ((a[1] >> 60 | a[2] << 4) & LOW_62) as i64,
        ((a[2] >> 58 | a[3] << 6) & LOW_62) as i64,
        (a[3] >> 56) as i64,
    ]
}

fn pack(a: &Signed62) -> Limbs {
    let [a0, a1, a2, a3, a4] = a.map(|limb| limb as u64);
    [a0 | a1 << 62, a1 >> 2 | a2 << 60, a2 >> 4 | a3 << 58, a3 >> 6 | a4 << 56]
}
