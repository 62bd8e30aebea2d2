//! Signatures of EOAs: secp256k1 over a 32-byte digest, in the one form that has no twin.
//!
//! Exactly 65 bytes `r ‖ s ‖ v`, v in {0, 1, 27, 28}, s in the lower half (EIP-2). Libraries take more, and a
//! second form of one signature is a way round everything that remembers signatures. Not for: contract wallets.

use alloy_primitives::{eip191_hash_message, keccak256};
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use thiserror::Error;

use crate::key::Eoa;

/// A signature of acceptable form; whose it is depends on the digest.
#[derive(Clone, Copy, Debug)]
pub struct EoaSignature {
    signature: Signature,
    recovery: RecoveryId,
}

/// Why bytes are no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// Any other length, EIP-2098's 64 bytes included.
    #[error("a signature has exactly 65 bytes: r, s and v")]
    Length,
    /// s in the upper half: the malleated twin of a signature.
    #[error("the signature's s is in the upper half; this form is refused")]
    HighS,
    /// v is none of 0, 1, 27, 28.
    #[error("the signature's last byte must be 0, 1, 27 or 28")]
    RecoveryId,
    /// r or s is zero or not below the group order.
    #[error("the signature's r or s is out of range")]
    Scalar,
}

impl EoaSignature {
    /// Reads `r ‖ s ‖ v`.
    ///
    /// # Errors
    /// Everything but the one form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SignatureError> {
        let bytes: &[u8; 65] = bytes.try_into().map_err(|_| SignatureError::Length)?;
        let (scalars, v) = (bytes.first_chunk::<64>(), bytes.last());
        let (Some(scalars), Some(v)) = (scalars, v) else { return Err(SignatureError::Length) };
        let odd = match v {
            0 | 27 => false,
            1 | 28 => true,
            _ => return Err(SignatureError::RecoveryId),
        };
        let signature = Signature::from_slice(scalars).map_err(|_| SignatureError::Scalar)?;
        if signature.normalize_s().is_some() {
            return Err(SignatureError::HighS);
        }
        Ok(Self { signature, recovery: RecoveryId::new(odd, false) })
    }

    /// Who signed this digest; none where no key could have.
    pub fn signer(&self, digest: &[u8; 32]) -> Option<Eoa> {
        let key = VerifyingKey::recover_from_prehash(digest, &self.signature, self.recovery).ok()?;
        Some(address(&key))
    }
}

/// The address of a public key: the last 20 bytes of keccak256(x ‖ y) (Ethereum Yellow Paper, appendix F).
pub fn address(key: &VerifyingKey) -> Eoa {
    let point = key.to_encoded_point(false);
    let hash = keccak256(point.as_bytes().get(1..).unwrap_or_default());
    Eoa::new(hash.last_chunk::<20>().copied().unwrap_or_default())
}

/// The digest that `personal_sign` signs for a text (EIP-191, version 0x45).
pub fn personal_digest(text: &str) -> [u8; 32] {
    eip191_hash_message(text.as_bytes()).0
}

#[cfg(test)]
pub(crate) mod tests;
