//! One creation: scalar, public keys, record, object, proof. Safe to attempt twice; nothing is reported before it was
//! found, read back, decrypted and compared. Not for the index.

use bn254_ct::{G1Point, G2Point};

use super::index::Entry;
use crate::arena::Arena;
use crate::error::EnclaveError;
use crate::key::{NewKey, PublicKey};
use crate::pkcs11::{Call, Code, TokenError};
use crate::token::attempt::{Attempt, Trouble};
use crate::wrap::{self, Content, GenerateError, Header, Record, SealError, Stored, Unlocked, UnwrapError};

/// See the module.
pub(crate) struct Creation<'a> {
    key: NewKey,
    second: &'a mut Arena,
    sync: &'a dyn Fn() -> Result<(), EnclaveError>,
    stored: bool,
}

impl<'a> Creation<'a> {
    pub(crate) fn new(
        key: NewKey,
        second: &'a mut Arena,
        sync: &'a dyn Fn() -> Result<(), EnclaveError>,
    ) -> Self {
        Self { key, second, sync, stored: false }
    }

    /// Whether the token was asked to store something, whatever it answered.
    pub(crate) fn has_stored(&self) -> bool {
        self.stored
    }

    /// One attempt from the beginning. A second one adopts what the first left if it is sound, else removes it.
    pub(crate) fn attempt(&mut self, mut attempt: Attempt<'_>) -> Result<Entry, Trouble> {
        let label = wrap::key_label(self.key.id);
        let found = wrap::find_labelled(attempt.session, &label)?;
        // No hits prove nothing unless the token also shows what must be there.
        attempt.link.check_canary(attempt.session, attempt.arena.parts().0)?;
        if let [stored] = &found[..]
            && let Some(entry) = self.adopt(&mut attempt, stored)?
        {
            return Ok(entry);
        }
        if !found.is_empty() && !self.stored {
            // Something of that name was there before: not ours to delete.
            return Err(EnclaveError::KeyDamaged.into());
        }
        for stored in found {
            attempt.session.destroy(stored.handle)?;
        }
        self.make(attempt, &label)
    }

    /// A sound record of this id: from an attempt whose answer was lost, or from an earlier creation.
    fn adopt(&mut self, attempt: &mut Attempt<'_>, stored: &Stored) -> Result<Option<Entry>, Trouble> {
        let Ok(record) = &stored.record else { return Ok(None) };
        if record.header.key != self.key.id || record.header.kek != attempt.link.kek.id {
            return Ok(None);
        }
        let Some(entry) = Entry::new(record.clone()) else { return Ok(None) };
        let (slot, stack) = attempt.arena.parts();
        // On a session of its own, which a refusal may spoil. The canary was just well: a refusal is the record's.
        let session = attempt.link.session()?;
        let Ok(mut unlocked) = wrap::unwrap(&session, attempt.link.kek.handle, record, slot) else {
            return Ok(None);
        };
        if !unlocked.belongs_to(stack, &entry.public_key.g1).unwrap_or(false) {
            return Ok(None);
        }
        drop(unlocked);
        if record.header.owner != self.key.owner {
            return Err(EnclaveError::KeyExists.into());
        }
        (self.sync)()?;
        Ok(Some(entry))
    }

    fn make(&mut self, attempt: Attempt<'_>, label: &str) -> Result<Entry, Trouble> {
        let Attempt { session, link, arena, .. } = attempt;
        let (slot, stack) = arena.parts();
        let mut fresh = Unlocked::generate(session, slot, stack)?;
        let (g1, g2) = fresh.public_keys(stack).map_err(|_| Trouble::Fault)?;
        let public_key = PublicKey {
            g1: G1Point::from_bytes(&g1).map_err(|_| Trouble::Fault)?,
            g2: G2Point::from_bytes(&g2).map_err(|_| Trouble::Fault)?,
        };
        let header = Header {
            kek: link.kek.id,
            key: self.key.id,
            owner: self.key.owner,
            created: crate::clock::unix_seconds(),
            content: Content::Scalar(public_key),
        };
        // Sealed by the session copy, opened below by the token's own key: the one that outlives this process.
        let record = wrap::seal(session, link.session_kek, header, fresh.plain())?;
        self.stored = true;
        wrap::store(session, label, &record)?;
        (self.sync)()?;
        self.prove(session, link.kek.handle, label, &record, &fresh)?;
        Entry::new(record).ok_or(Trouble::Fault)
    }

    /// Found exactly once, the same bytes, and they open to the same scalar.
    fn prove(
        &mut self,
        session: &crate::pkcs11::Session,
        kek: crate::pkcs11::ObjectHandle,
        label: &str,
        record: &Record,
        fresh: &Unlocked<'_>,
    ) -> Result<(), Trouble> {
        let found = wrap::find_labelled(session, label)?;
        let [Stored { record: Ok(read), .. }] = &found[..] else {
            return Err(lie(Call::FindObjects).into());
        };
        if read != record {
            return Err(lie(Call::GetAttributeValue).into());
        }
        let (slot, stack) = self.second.parts();
        let again = wrap::unwrap(session, kek, read, slot).map_err(UnwrapError::as_token_error);
        if again?.equals(stack, fresh) { Ok(()) } else { Err(lie(Call::Decrypt).into()) }
    }
}

/// The token claimed success and showed something else.
fn lie(call: Call) -> TokenError {
    tracing::error!(%call, "a fresh record was not found as it was stored");
    TokenError { call, code: Code(cryptoki_sys::CKR_FUNCTION_FAILED) }
}

impl From<GenerateError> for Trouble {
    fn from(error: GenerateError) -> Self {
        match error {
            GenerateError::Token(error) => error.into(),
            GenerateError::Random(_) | GenerateError::Exhausted => {
                EnclaveError::Internal(error.to_string()).into()
            }
        }
    }
}

impl From<SealError> for Trouble {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Token(error) => error.into(),
            SealError::Length(_) => lie(Call::Encrypt).into(),
            SealError::Random(error) => EnclaveError::Internal(error.to_string()).into(),
        }
    }
}
