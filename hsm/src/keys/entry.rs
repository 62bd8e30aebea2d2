//! One authentic record in memory, as ciphertext, and whether it may be used. Not for finding it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::error::EnclaveError;
use crate::key::{KeyEntry, PublicKey};
use crate::wrap::{Fingerprint, Payload, WrappedKey};

/// One authentic record.
pub(crate) struct Entry {
    pub(crate) record: WrappedKey,
    pub(crate) public_key: PublicKey,
    /// Keyed digest of the scalar that was seen to belong to the public key; none before its first use.
    proof: OnceLock<Fingerprint>,
    standing: AtomicU8,
}

const USABLE: u8 = 0;
/// The token did not open the record, though its canary is good: tried again.
const SUSPECTED: u8 = 1;
/// This host computed a wrong product twice: not used again by this process.
const WITHDRAWN: u8 = 2;
const DESTROYED: u8 = 3;

impl Entry {
    /// None for what is no key of an operator.
    pub(crate) fn new(record: WrappedKey) -> Option<Self> {
        match record.header.payload {
            Payload::Scalar(public_key) => {
                Some(Self { record, public_key, proof: OnceLock::new(), standing: AtomicU8::new(USABLE) })
            }
            Payload::Canary | Payload::StoreKey | Payload::CheckpointKey(_) => None,
        }
    }

    /// The digest to compare an unlocked scalar with, once one was proven.
    pub(crate) fn proof(&self) -> Option<&Fingerprint> {
        self.proof.get()
    }

    /// Takes the digest of a scalar that was just seen to belong to the public key.
    pub(crate) fn set_proof(&self, digest: Fingerprint) {
        // Another worker may have been first; both saw the same scalar.
        let _ = self.proof.set(digest);
    }

    pub(super) fn suspect(&self) {
        self.standing.fetch_max(SUSPECTED, Ordering::AcqRel);
    }

    /// Ends a suspicion, and nothing that is worse; whether it did.
    pub(super) fn clear(&self) -> bool {
        self.standing.compare_exchange(SUSPECTED, USABLE, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub(super) fn is_suspected(&self) -> bool {
        self.standing.load(Ordering::Acquire) == SUSPECTED
    }

    pub(super) fn withdraw(&self) {
        self.standing.fetch_max(WITHDRAWN, Ordering::AcqRel);
    }

    pub(crate) fn set_destroyed(&self) {
        self.standing.fetch_max(DESTROYED, Ordering::AcqRel);
    }

    /// Refuses unreadable and destroyed records, also for work that was queued before they became so.
    pub(crate) fn check_usable(&self) -> Result<(), EnclaveError> {
        match self.standing.load(Ordering::Acquire) {
            SUSPECTED | WITHDRAWN => Err(EnclaveError::KeyUnreadable),
            DESTROYED => Err(EnclaveError::UnknownKey),
            _ => Ok(()),
        }
    }

    pub(crate) fn describe(&self) -> KeyEntry {
        let header = &self.record.header;
        KeyEntry {
            id: header.key,
            owner: header.owner,
            name: header.name,
            version: header.version,
            public_key: self.public_key,
            created: header.created,
        }
    }
}
