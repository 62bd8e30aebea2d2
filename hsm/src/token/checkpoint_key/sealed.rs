//! A checkpoint key in software, for a token that makes no key pair: Ed25519, its seed sealed as a wrapped record.
//!
//! The seed is clear in guarded memory alone, for one signature. The record's authenticated header has the public key.
//! Not for: pairs in the token (`pair`).

use cryptoki::object::ObjectHandle;

use super::error::{CheckpointKeyError, unfit};
use crate::arena::Arena;
use crate::clock::unix_seconds;
use crate::key::{KeyId, StoredName};
use crate::labels::CHECKPOINT_SEED_LABEL;
use crate::pkcs11::{Function, Session, TokenError};
use crate::records::Records;
use crate::wrap::{self, Header, Kek, Payload, Scheme, UnwrapError, UnwrappedScalar, WrappedKey};

/// The record and the public key that it names.
pub(super) struct SealedKey {
    record: Box<WrappedKey>,
    pub(super) public: [u8; 32],
}

impl SealedKey {
    /// Draws a seed and stores its record. The caller has made sure that there is none.
    pub(super) fn create(
        session: &Session,
        records: &dyn Records,
        kek: &Kek,
        scheme: Scheme,
        installation: KeyId,
        arena: &mut Arena,
    ) -> Result<(), CheckpointKeyError> {
        let (slot, stack) = arena.parts();
        let mut seed = UnwrappedScalar::random_key(session, slot)?;
        let payload = Payload::CheckpointKey(seed.ed25519_public(stack));
        let named = (installation, StoredName::CHECKPOINT_KEY);
        let header = Header::internal((scheme, kek.id), named, payload, unix_seconds());
        let record = wrap::seal(session, kek.handle, header, &mut seed)?;
        Ok(wrap::store(records, CHECKPOINT_SEED_LABEL, &record)?)
    }

    /// The one record of the label; none where there is no object with it.
    pub(super) fn find(
        records: &dyn Records,
        kek: &Kek,
        scheme: Scheme,
    ) -> Result<Option<Self>, CheckpointKeyError> {
        let mut found = wrap::find_labelled(records, CHECKPOINT_SEED_LABEL)?;
        let record = match (found.pop(), found.len()) {
            (None, _) => return Ok(None),
            (Some(record), 0) => record.map_err(|error| unfit(format!("its sealed seed: {error}")))?,
            (Some(_), more) => return Err(unfit(format!("{} records hold its sealed seed", more + 1))),
        };
        let header = &record.header;
        let is_ours = header.kek == kek.id && header.name == StoredName::CHECKPOINT_KEY;
        match header.payload {
            Payload::CheckpointKey(_) if header.scheme != scheme => {
                Err(unfit("its sealed seed has another wrapping scheme than the canary"))
            }
            Payload::CheckpointKey(public) if is_ours => Ok(Some(Self { record: Box::new(record), public })),
            Payload::CheckpointKey(_) | Payload::Scalar(_) | Payload::Canary | Payload::StoreKey => {
                Err(unfit("its sealed seed is not the one that init made"))
            }
        }
    }

    /// Opens the seed, signs with it and wipes it.
    pub(super) fn sign(
        &self,
        session: &Session,
        kek: ObjectHandle,
        arena: &mut Arena,
        text: &[u8],
    ) -> Result<[u8; 64], UnwrapError> {
        let (slot, stack) = arena.parts();
        let (public, signature) = wrap::open(session, kek, &self.record, slot)?.ed25519_sign(stack, text);
        if public == self.public {
            return Ok(signature);
        }
        let what = "the seed of the checkpoint key is not the one that was sealed";
        Err(TokenError::protocol_violation(Function::Decrypt, what).into())
    }

    /// The initialisation vector of the record: no other may have it.
    pub(super) fn iv(&self) -> &[u8] {
        self.record.iv()
    }
}
