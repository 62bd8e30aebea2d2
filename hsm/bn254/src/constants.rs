//! BN254's numbers, each derived again from p, r and the curve equation in `tests/constants.rs`.
//! Not for algorithms.
//!
//! Limbs are 64 bits, least significant first. "Montgomery form" of v is v·2^256 mod p. Source of
//! the curve: EIP-196, EIP-197.

pub(crate) type Limbs = [u64; 4];

/// The base field's prime p.
pub(crate) const P: Limbs = [0x3c208c16d87cfd47, 0x97816a916871ca8d, 0xb85045b68181585d, 0x30644e72e131a029];
/// 2p, the usual bound of an element.
pub(crate) const P2: Limbs = [0x7841182db0f9fa8e, 0x2f02d522d0e3951a, 0x70a08b6d0302b0bb, 0x60c89ce5c2634053];
/// 4p.
pub(crate) const P4: Limbs = [0xf082305b61f3f51c, 0x5e05aa45a1c72a34, 0xe14116da06056176, 0xc19139cb84c680a6];
/// The order r of G1 and G2.
pub(crate) const ORDER: Limbs =
    [0x43e1f593f0000001, 0x2833e84879b97091, 0xb85045b68181585d, 0x30644e72e131a029];
/// −p⁻¹ mod 2^64.
pub(crate) const P_NEG_INV_64: u64 = 0x87d20782e4866389;
/// (p·(−p⁻¹ mod 2^64) + 1)/2^64, the multiplier of the short reduction rounds.
pub(crate) const N_PRIME: Limbs =
    [0x327d7c1b18f7bd41, 0xdb8ed52f824ed32f, 0x29b67b05eb29a6a1, 0x19ac99126b459dda];
/// p⁻¹ mod 2^62.
pub(crate) const P_INV_62: u64 = 0x382df87d1b799c77;
/// p in five limbs of 62 bits, for the inversion.
pub(crate) const P_62: [i64; 5] =
    [0x3c208c16d87cfd47, 0x1e05aa45a1c72a34, 0x05045b68181585d9, 0x19139cb84c680a6e, 0x30];

/// 1, that is 2^256 mod p, in Montgomery form.
pub(crate) const ONE: Limbs =
    [0xd35d438dc58f0d9d, 0x0a78eb28f5c70b3d, 0x666ea36f7879462c, 0x0e0a77c19a07df2f];
/// 2^512 mod p: a product with it takes an integer into Montgomery form.
pub(crate) const R2: Limbs = [0xf32cfc5b538afa89, 0xb5e71911d44501fb, 0x47ab1eff0a417ff6, 0x06d89f71cab8351f];
/// b = 3 of y² = x³ + 3, in Montgomery form.
pub(crate) const CURVE_B: Limbs =
    [0x7a17caa950ad28d7, 0x1f6ac17ae15521b9, 0x334bea4e696bd284, 0x2a1f6744ce179d8e];
/// 2, the y coordinate of the generator (1, 2) of G1, in Montgomery form.
pub(crate) const TWO: Limbs =
    [0xa6ba871b8b1e1b3a, 0x14f1d651eb8e167b, 0xccdd46def0f28c58, 0x1c14ef83340fbe5e];
/// 3b′ of the twist, b′ = 3/(9+u), as c0 + c1·u in Montgomery form.
pub(crate) const TWIST_B3: [Limbs; 2] = [
    [0x3baa927cb62e0d6a, 0xd71e7c52d1b664fd, 0x03873e63d95d4664, 0x0e75b5b1082ab8f4],
    [0xaab7c6667596fe35, 0x31d21a78bb6a27ba, 0x85dd7297680401ff, 0x03c52d6adf39a7e9],
];

/// β, a cube root of one mod p: (x, y) → (βx, y) multiplies a point of G1 by λ. Montgomery form.
pub(crate) const BETA: Limbs =
    [0x3350c88e13e80b9c, 0x7dce557cdb5e56b9, 0x6001b4b8b615564a, 0x2682e617020217e0];
/// The lattice {(a, b) : a + bλ ≡ 0 mod r} has the basis (−N1, M), (−M, −N2), with N1·N2 + M² = r.
pub(crate) const LATTICE_N1: u128 = 147946756881789319000765030803803410728;
/// See [`LATTICE_N1`].
pub(crate) const LATTICE_N2: u128 = 147946756881789319010696353538189108491;
/// See [`LATTICE_N1`].
pub(crate) const LATTICE_M: u128 = 9931322734385697763;
/// round(2^256·N2 / r): the first coefficient of Babai's rounding is round(k·N2/r).
pub(crate) const ROUND_1: [u64; 3] = [0x5398fd0300ff6565, 0x4ccef014a773d2d2, 0x2];
/// round(2^256·M / r): the second coefficient is round(k·M/r).
pub(crate) const ROUND_2: [u64; 2] = [0xd91d232ec7e0b3d7, 0x2];

/// The generator of G2 of EIP-197: imaginary and real part of x, then of y.
pub(crate) const G2_GENERATOR: [[u8; 32]; 4] = [
    integer(0x198e9393920d483a7260bfb731fb5d25, 0xf1aa493335a9e71297e485b7aef312c2),
    integer(0x1800deef121f1e76426a00665e5c4479, 0x674322d4f75edadd46debd5cd992f6ed),
    integer(0x090689d0585ff075ec9e99ad690c3395, 0xbc4b313370b38ef355acdadcd122975b),
    integer(0x12c85ea5db8c6deb4aab71808dcb408f, 0xe3d1e7690c43d37b4ce6cc0166fa7daa),
];

/// Big-endian bytes of high·2^128 + low.
const fn integer(high: u128, low: u128) -> [u8; 32] {
    let mut bytes = [0; 32];
    let (first, second) = bytes.split_at_mut(16);
    first.copy_from_slice(&high.to_be_bytes());
    second.copy_from_slice(&low.to_be_bytes());
    bytes
}
