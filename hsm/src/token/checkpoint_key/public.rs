//! The public half of the checkpoint key, and the check of its signatures. Not for the private half.

use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};

use crate::pkcs11::{RSA_EXPONENT, RSA_LEN};

/// The public half.
#[expect(clippy::large_enum_variant, reason = "few exist, and all are Copy")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointKey {
    /// RFC 8032, 32 bytes.
    Ed25519([u8; 32]),
    /// An uncompressed SEC 1 point: 4, x, y.
    P256([u8; 65]),
    /// The modulus of RSA with 3072 bits, big-endian; the exponent is 65537.
    Rsa3072([u8; RSA_LEN]),
}

impl CheckpointKey {
    /// Length of its signatures, bytes.
    pub(super) const fn signature_len(&self) -> usize {
        match self {
            Self::Ed25519(_) | Self::P256(_) => 64,
            Self::Rsa3072(_) => RSA_LEN,
        }
    }

    /// Whether its private half signed the text: by Ed25519, by ECDSA as r ‖ s over SHA-256, or by RSA-PSS with SHA-256,
    /// MGF1 with SHA-256 and 32 bytes of salt.
    pub(crate) fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        let verified = match self {
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(text, signature),
            Self::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(text, signature)
            }
            Self::Rsa3072(modulus) => RsaPublicKeyComponents { n: modulus.as_slice(), e: &RSA_EXPONENT[..] }
                .verify(&RSA_PSS_2048_8192_SHA256, text, signature),
        };
        verified.is_ok()
    }
}
