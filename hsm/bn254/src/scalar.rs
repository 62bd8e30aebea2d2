//! Scalars: integers mod r as 32 big-endian bytes in the caller's memory. Not for their digits
//! (`glv`).

use subtle::Choice;
use zeroize::Zeroize;

use crate::constants::ORDER;
use crate::field::{limbs_from_bytes, subtract_limbs};
use crate::mask::Mask;

/// Bytes of a scalar, big-endian.
pub const SCALAR_LEN: usize = 32;

/// Whether 0 < k < r, in constant time. `k` is big-endian.
pub fn scalar_in_range(k: &[u8; SCALAR_LEN]) -> Choice {
    let mut limbs = limbs_from_bytes(k);
    let [k0, k1, k2, k3] = limbs;
    let zero = Mask::is_zero(k0 | k1 | k2 | k3);
    let (mut difference, below_order) = subtract_limbs(&limbs, &ORDER);
    limbs.zeroize();
    difference.zeroize();
    (below_order & !zero).choice()
}
