//! Integers of 256 bits as four limbs: addition, subtraction, bytes. Not for arithmetic mod p.

use crate::constants::Limbs;
use crate::mask::Mask;

/// a + b, which must be below 2^256.
#[inline(always)]
pub(crate) fn add_limbs(a: &Limbs, b: &Limbs) -> Limbs {
    let (s0, c) = a[0].carrying_add(b[0], false);
    let (s1, c) = a[1].carrying_add(b[1], c);
    let (s2, c) = a[2].carrying_add(b[2], c);
    let (s3, _) = a[3].carrying_add(b[3], c);
    [s0, s1, s2, s3]
}

/// a − b mod 2^256, and whether it borrowed.
#[inline(always)]
pub(crate) fn subtract_limbs(a: &Limbs, b: &Limbs) -> (Limbs, Mask) {
    let (d0, c) = a[0].borrowing_sub(b[0], false);
    let (d1, c) = a[1].borrowing_sub(b[1], c);
    let (d2, c) = a[2].borrowing_sub(b[2], c);
    let (d3, c) = a[3].borrowing_sub(b[3], c);
    ([d0, d1, d2, d3], Mask::from_bit(u64::from(c)))
}

/// Big-endian bytes to limbs.
pub(crate) fn limbs_from_bytes(bytes: &[u8; 32]) -> Limbs {
    let mut limbs = [0; 4];
    for (limb, chunk) in limbs.iter_mut().rev().zip(bytes.as_chunks::<8>().0) {
        *limb = u64::from_be_bytes(*chunk);
    }
    limbs
}

/// Limbs to big-endian bytes.
pub(crate) fn bytes_from_limbs(limbs: &Limbs) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (chunk, limb) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(limbs.iter().rev()) {
        *chunk = limb.to_be_bytes();
    }
    bytes
}
