//! One creation: scalar, public keys, record, object, proof. Safe to attempt twice; nothing is reported before it was
//! found, read back, decrypted and compared. Not for the index.

use bn254_ct::{G1Point, G2Point};

use super::entry::Entry;
use super::index::Index;
use crate::arena::Arena;
use crate::error::EnclaveError;
use crate::key::{NewKey, PublicKey};
use crate::pkcs11::{Function, Session, TokenError};
use crate::token::attempt::{Attempt, AttemptError};
use crate::token::checkpoint_key::SigningWith;
use crate::token::connection::TokenConnection;
use crate::wrap::{
    self, GenerateError, Header, Payload, RecordError, SealError, UnwrapError, UnwrappedScalar, WrappedKey,
};

/// One creation.
pub(crate) struct Creation<'a> {
    key: NewKey,
    index: &'a Index,
    second: &'a mut Arena,
    sync: &'a dyn Fn() -> Result<(), EnclaveError>,
    stored: bool,
}

impl<'a> Creation<'a> {
    pub(crate) fn new(
        key: NewKey,
        index: &'a Index,
        second: &'a mut Arena,
        sync: &'a dyn Fn() -> Result<(), EnclaveError>,
    ) -> Self {
        Self { key, index, second, sync, stored: false }
    }

    /// Whether a record was to be stored, whatever the answer was.
    pub(crate) fn has_stored(&self) -> bool {
        self.stored
    }

    /// One attempt from the beginning. A second one adopts what the first left if it is sound, else removes it.
    pub(crate) fn attempt(&mut self, mut attempt: Attempt<'_>) -> Result<Entry, AttemptError> {
        let label = wrap::key_label(self.key.id);
        let records = attempt.connection.records(attempt.session);
        let found = wrap::find_labelled(&*records, &label)?;
        // No hits prove nothing unless the token also shows what must be there.
        attempt.connection.check_canary(attempt.session, attempt.arena.parts().0)?;
        if let [record] = &found[..]
            && let Some(entry) = self.adopt(&mut attempt, record)?
        {
            return Ok(entry);
        }
        if !found.is_empty() && !self.stored {
            // Something of that name was there before: do not delete it.
            return Err(EnclaveError::KeyUnreadable.into());
        }
        // Removing searches once more, which a new key need not wait for.
        if !found.is_empty() {
            records.remove(&label)?;
        }
        self.make(attempt, &label)
    }

    /// A sound record of this id: from an attempt whose answer was lost, or from an earlier creation.
    fn adopt(
        &mut self,
        attempt: &mut Attempt<'_>,
        record: &Result<WrappedKey, RecordError>,
    ) -> Result<Option<Entry>, AttemptError> {
        let Ok(record) = record else { return Ok(None) };
        let connection = attempt.connection;
        if connection.admits(self.key.id, record).is_err() {
            return Ok(None);
        }
        let Some(entry) = Entry::new(record.clone()) else { return Ok(None) };
        let (slot, stack) = attempt.arena.parts();
        // On a session of its own, which a refusal may spoil. The canary was just well: a refusal is the record's.
        let session = attempt.connection.session()?;
        let Ok(mut unlocked) = wrap::open(&session, attempt.connection.kek.handle, record, slot) else {
            return Ok(None);
        };
        if !unlocked.belongs_to(stack, &entry.public_key.g1).unwrap_or(false) {
            return Ok(None);
        }
        drop(unlocked);
        let header = &record.header;
        if (header.owner, header.name, header.version) != (self.key.owner, self.key.name, self.key.version) {
            return Err(EnclaveError::KeyExists.into());
        }
        (self.sync)()?;
        Ok(Some(entry))
    }

    fn make(&mut self, attempt: Attempt<'_>, label: &str) -> Result<Entry, AttemptError> {
        let Attempt { session, connection, arena, .. } = attempt;
        let (slot, stack) = arena.parts();
        let mut fresh = UnwrappedScalar::generate(session, slot, stack)?;
        let (g1, g2) = fresh.public_keys(stack).map_err(|_| AttemptError::Fault)?;
        let public_key = PublicKey {
            g1: G1Point::from_bytes(&g1).map_err(|_| AttemptError::Fault)?,
            g2: G2Point::from_bytes(&g2).map_err(|_| AttemptError::Fault)?,
        };
        let header = Header {
            scheme: connection.scheme,
            kek: connection.kek.id,
            key: self.key.id,
            owner: self.key.owner,
            version: self.key.version,
            name: self.key.name,
            created: crate::clock::unix_seconds(),
            payload: Payload::Scalar(public_key),
        };
        // Sealed by the session copy, opened below by the token's own key: the one that outlives this process.
        let record = wrap::seal(session, connection.session_kek, header, &mut fresh)?;
        if connection.scheme.has_iv() && !self.index.take_iv(record.iv()) {
            return Err(violation(Function::Encrypt, "it used an initialisation vector again").into());
        }
        let another = || connection.session();
        let with =
            SigningWith { session, another: &another, kek: connection.session_kek, arena: self.second };
        let record =
            connection.checkpoint_signer.endorse(with, record).map_err(UnwrapError::as_token_error)?;
        self.stored = true;
        wrap::store(&*connection.records(session), label, &record)?;
        (self.sync)()?;
        self.prove(session, connection, label, &record, &fresh)?;
        Entry::new(record).ok_or(AttemptError::Fault)
    }

    /// Found exactly once, the same bytes, and they open to the same scalar.
    fn prove(
        &mut self,
        session: &Session,
        connection: &TokenConnection,
        label: &str,
        record: &WrappedKey,
        fresh: &UnwrappedScalar<'_>,
    ) -> Result<(), AttemptError> {
        let found = wrap::find_labelled(&*connection.records(session), label)?;
        let [Ok(read)] = &found[..] else {
            return Err(violation(Function::FindObjects, "a fresh record is not there once").into());
        };
        if read != record {
            return Err(violation(Function::GetAttributeValue, "a fresh record reads differently").into());
        }
        let (slot, stack) = self.second.parts();
        let again =
            wrap::open(session, connection.kek.handle, read, slot).map_err(UnwrapError::as_token_error);
        if again?.equals(stack, fresh) {
            Ok(())
        } else {
            Err(violation(Function::Decrypt, "a fresh record decrypts to something else").into())
        }
    }
}

/// The token claimed success and showed something else.
fn violation(function: Function, what: &'static str) -> TokenError {
    tracing::error!(%function, what, "a fresh record was not found as it was stored");
    TokenError::protocol_violation(function, what)
}

impl From<GenerateError> for AttemptError {
    fn from(error: GenerateError) -> Self {
        match error {
            GenerateError::Token(error) => error.into(),
            GenerateError::Random(_) | GenerateError::Exhausted => {
                EnclaveError::Internal(error.to_string()).into()
            }
        }
    }
}

impl From<SealError> for AttemptError {
    fn from(error: SealError) -> Self {
        match error.into_token_error() {
            Ok(error) => {
                tracing::error!(%error, "nothing was sealed");
                error.into()
            }
            Err(error) => EnclaveError::Internal(error.to_string()).into(),
        }
    }
}
