//! The ids that all carries which one `init` makes, so that it can be found again. Not for finding it.

use sha2::{Digest, Sha256};

use super::KeyId;

/// They follow from the id of the installation, which is chosen before the token is touched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InitIds {
    /// In the header of each record of the installation itself.
    pub(crate) installation: KeyId,
    /// `CKA_ID` of the key-encryption key.
    pub(crate) kek: [u8; 16],
    /// `CKA_ID` of both halves of the checkpoint key.
    pub(crate) pair: [u8; 16],
}

impl InitIds {
    /// Those of one `init`.
    pub(crate) fn of(installation: KeyId) -> Self {
        let derived = |of: &str| {
            let hash = Sha256::new_with_prefix("avs-kms/init/1").chain_update(of);
            let hash = hash.chain_update(installation.to_bytes()).finalize();
            let mut id = [0; 16];
            id.iter_mut().zip(hash).for_each(|(place, byte)| *place = byte);
            id
        };
        Self { installation, kek: derived("kek"), pair: derived("checkpoint-key") }
    }
}
