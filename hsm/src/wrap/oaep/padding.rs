//! RSAES-OAEP encryption with 3072 bits, exponent 65537 and an empty label (RFC 8017, section 7.1.1): pure, in constant
//! time, without a heap. Not for keys, tokens and guarded memory.

use crypto_bigint::modular::runtime_mod::{DynResidue, DynResidueParams};
use crypto_bigint::{Encoding, U3072};
use sha2::Digest;

/// Length of modulus and ciphertext, bytes.
const LEN: usize = 384;

/// The ciphertext. The seed is as long as a digest, the text at most 318 bytes, the modulus odd with its highest bit set.
pub(super) fn encrypt<D: Digest>(text: &[u8], seed: &[u8], modulus: &[u8; LEN]) -> [u8; LEN] {
    let mut message = [0; LEN];
    let (_, padded) = message.split_at_mut(1);
    let (masked_seed, block) = padded.split_at_mut(<D as Digest>::output_size());
    masked_seed.iter_mut().zip(seed).for_each(|(place, byte)| *place = *byte);
    block.iter_mut().zip(D::digest([])).for_each(|(place, byte)| *place = byte);
    let end = block.iter_mut().rev();
    let reversed = text.iter().rev().chain([&1]);
    end.zip(reversed).for_each(|(place, byte)| *place = *byte);
    mask::<D>(block, masked_seed);
    mask::<D>(masked_seed, block);
    power(&message, modulus)
}

/// MGF1 (RFC 8017, appendix B.2.1) over the seed, XORed into the target.
fn mask<D: Digest>(target: &mut [u8], seed: &[u8]) {
    for (counter, part) in (0_u32..).zip(target.chunks_mut(<D as Digest>::output_size())) {
        let mask = D::new().chain_update(seed).chain_update(counter.to_be_bytes()).finalize();
        part.iter_mut().zip(mask).for_each(|(place, byte)| *place ^= byte);
    }
}

/// The message to the power of 65537: sixteen squares and one product.
fn power(message: &[u8; LEN], modulus: &[u8; LEN]) -> [u8; LEN] {
    let modulus = DynResidueParams::new(&U3072::from_be_bytes(*modulus));
    let base = DynResidue::new(&U3072::from_be_bytes(*message), modulus);
    let mut power = base;
    for _ in 0..16 {
        power = power.square();
    }
    power.mul(&base).retrieve().to_be_bytes()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a failed unwrap is a failed test

    use super::*;

    /// By Python's integers and hashlib; openssl 3.0 opens both (`pkeyutl -decrypt -pkeyopt rsa_padding_mode:oaep`).
    const KNOWN: &str = include_str!("known-answers.json");

    #[test]
    fn what_another_program_made_and_openssl_opens_is_made_here_too() {
        let known: serde_json::Value = serde_json::from_str(KNOWN).unwrap();
        let bytes = |name: &str| hex::decode(known[name].as_str().unwrap()).unwrap();
        let modulus = bytes("modulus").try_into().unwrap();
        let text = bytes("text");
        assert_eq!(encrypt::<sha2::Sha256>(&text, &bytes("seed")[..32], &modulus)[..], bytes("sha256"));
        assert_eq!(encrypt::<sha1::Sha1>(&text, &bytes("seed")[..20], &modulus)[..], bytes("sha1"));
    }
}
