//! RSA-PSS of one form: 3072 bits, exponent 65537, SHA-256 as hash and in MGF1, 32 bytes of salt (RFC 8017, section 8.1).
//!
//! `ring` verifies: the service has it for TLS already, and it refuses every other length of salt. Not for: how a key is
//! written (`key`).

use ring::signature::{RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents};

/// Length of the modulus and of a signature, bytes.
pub(crate) const LEN: usize = 384;

const EXPONENT: [u8; 3] = [1, 0, 1];
/// SubjectPublicKeyInfo of such a key (RFC 8017, appendix A.1.1; RFC 5280, section 4.1.2.7), up to the modulus.
const PREFIX: [u8; 33] = [
    0x30, 0x82, 0x01, 0xa2, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01,
    0x05, 0x00, 0x03, 0x82, 0x01, 0x8f, 0x00, 0x30, 0x82, 0x01, 0x8a, 0x02, 0x82, 0x01, 0x81, 0x00,
];
/// And what follows it: the exponent.
const SUFFIX: [u8; 5] = [0x02, 0x03, 0x01, 0x00, 0x01];

/// Whether it can be a modulus of 3072 bits: of two odd primes, with its highest bit set.
pub(super) fn is_modulus(modulus: &[u8; LEN]) -> bool {
    let [first, .., last] = modulus;
    first & 0x80 != 0 && last & 1 == 1
}

/// The key as SubjectPublicKeyInfo in DER.
pub(super) fn spki(modulus: &[u8; LEN]) -> Vec<u8> {
    [PREFIX.as_slice(), modulus.as_slice(), SUFFIX.as_slice()].concat()
}

/// The modulus in the one encoding of such a key; none of a key of another size or exponent.
pub(super) fn modulus_in(spki: &[u8]) -> Option<[u8; LEN]> {
    spki.strip_prefix(PREFIX.as_slice())?.strip_suffix(SUFFIX.as_slice())?.try_into().ok()
}

/// Whether the holder of the private key signed the message.
pub(super) fn verify(modulus: &[u8; LEN], message: &[u8], signature: &[u8]) -> bool {
    let key = RsaPublicKeyComponents { n: modulus.as_slice(), e: EXPONENT.as_slice() };
    signature.len() == LEN && key.verify(&RSA_PSS_2048_8192_SHA256, message, signature).is_ok()
}
