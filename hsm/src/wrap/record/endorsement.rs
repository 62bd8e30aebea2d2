//! Endorsement of a record whose wrapping authenticates no sender (S5): the checkpoint key's signature of header and
//! ciphertext, in the record. Not for signing and verifying (`token::checkpoint_key`).

use sha2::{Digest, Sha256};

use super::WrappedKey;
use crate::wrap::scheme::ENDORSEMENT_LEN;

/// The first line of what is signed: no checkpoint and no other statement begins so.
pub const RECORD_CONTEXT: &str = "avs-kms wrapped record v1";

impl WrappedKey {
    /// What the checkpoint key signs: the context, and the SHA-256 of header and ciphertext in hex, a line each. None where
    /// the wrapping itself tells who sealed.
    pub(crate) fn to_endorse(&self) -> Option<Vec<u8>> {
        if !self.header.scheme.needs_endorsement() {
            return None;
        }
        let sealed = self.sealed();
        let ciphertext = sealed.get(..sealed.len().checked_sub(ENDORSEMENT_LEN)?)?;
        let digest = Sha256::new().chain_update(self.aad()).chain_update(ciphertext).finalize();
        Some(format!("{RECORD_CONTEXT}\n{}\n", hex::encode(digest)).into_bytes())
    }

    /// The record with a signature in it; none where its scheme has no place for one, or the signature is too long.
    pub(crate) fn endorsed(&self, signature: &[u8]) -> Option<Self> {
        let mut sealed = self.sealed().to_vec();
        let begin = sealed.len().checked_sub(ENDORSEMENT_LEN)?;
        let place = sealed.get_mut(begin..)?;
        place.fill(0);
        place.get_mut(..signature.len())?.copy_from_slice(signature);
        Self::new(self.header, self.iv(), &sealed)
    }

    /// The signature of this length, if nothing but zeros follows it.
    pub(crate) fn endorsement(&self, length: usize) -> Option<&[u8]> {
        let begin = self.sealed().len().checked_sub(ENDORSEMENT_LEN)?;
        let (signature, rest) = self.sealed().get(begin..)?.split_at_checked(length)?;
        rest.iter().all(|byte| *byte == 0).then_some(signature)
    }
}
