//! The canary record: a known plaintext that tells one bad record from a token in trouble. Not for what follows.

use cryptoki::object::ObjectHandle;

use super::init_records::InitRecords;
use crate::arena::{Arena, Slot};
use crate::clock::unix_seconds;
use crate::error::OpenError;
use crate::key::StoredName;
use crate::labels::CANARY_LABEL;
use crate::pkcs11::{Function, Session, TokenError};
use crate::records::{Records, RecordsError};
use crate::wrap::{self, Header, Kek, PLAIN_LEN, Payload, RecordError, UnwrapError, WrappedKey};

/// What the canary record wraps. Public: it proves the key and the token, not a secret.
const CANARY_PLAINTEXT: &[u8; PLAIN_LEN] = b"avs-kms canary, known plaintext.";

/// The canary failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CanaryError {
    #[error("the canary could not be checked")]
    Token(#[from] TokenError),
    #[error("the canary record cannot be read: {0}")]
    Outside(Box<dyn std::error::Error + Send + Sync>),
    #[error("{0} canary records were found")]
    Count(usize),
    #[error("the canary record is not the one it was")]
    Changed,
    #[error("the canary record: {}", RecordError::Format0_1)]
    Format0_1,
    #[error("the canary decrypted to something else")]
    Wrong,
    #[error("the canary record is not signed by the checkpoint key")]
    Unendorsed,
}

/// Makes the canary record of a new key-encryption key.
pub(crate) fn create(with: &InitRecords<'_>, arena: &mut Arena) -> Result<(), OpenError> {
    let InitRecords { session, records, kek, scheme, ids, .. } = *with;
    let named = (ids.installation, StoredName::CANARY);
    let header = Header::internal((scheme, kek.id), named, Payload::Canary, unix_seconds());
    let sealed = wrap::seal_known(session, kek.handle, header, CANARY_PLAINTEXT, arena.parts().0);
    let record = with.store(CANARY_LABEL, sealed, arena)?;
    let found = find(records, kek)?;
    if found != record {
        return Err(OpenError::CanaryFailed { source: None });
    }
    Ok(open(session, kek.handle, &found, arena.parts().0)?)
}

/// Whether there is any canary record.
pub(crate) fn exists(records: &dyn Records) -> Result<bool, RecordsError> {
    Ok(!records.find(CANARY_LABEL)?.is_empty())
}

/// The one canary record of this key-encryption key.
pub(crate) fn find(records: &dyn Records, kek: &Kek) -> Result<WrappedKey, CanaryError> {
    let found = wrap::find_labelled(records, CANARY_LABEL)?;
    let count = found.len();
    if found.iter().any(|record| matches!(record, Err(RecordError::Format0_1))) {
        return Err(CanaryError::Format0_1);
    }
    let mut sound = found
        .into_iter()
        .filter_map(Result::ok)
        .filter(|record| record.header.kek == kek.id && record.header.payload == Payload::Canary);
    match (count, sound.next()) {
        (1, Some(record)) => Ok(record),
        (1, None) => Err(CanaryError::Changed),
        (count, _) => Err(CanaryError::Count(count)),
    }
}

/// Decrypts the record with this key and compares.
pub(crate) fn open(
    session: &Session,
    kek: ObjectHandle,
    record: &WrappedKey,
    slot: &mut Slot,
) -> Result<(), CanaryError> {
    match wrap::open(session, kek, record, slot) {
        Ok(plain) if plain.holds(CANARY_PLAINTEXT) => Ok(()),
        Ok(_) | Err(UnwrapError::Length(_)) => Err(CanaryError::Wrong),
        Err(UnwrapError::Token(error)) => Err(error.into()),
    }
}

/// Found in the token again, the same, and decrypted by both keys: whether the token itself is there and whole. A record
/// outside the token says nothing of it and is not read again.
pub(crate) fn deep(
    session: &Session,
    in_token: Option<&dyn Records>,
    kek: &Kek,
    session_kek: ObjectHandle,
    record: &WrappedKey,
    slot: &mut Slot,
) -> Result<(), CanaryError> {
    if let Some(records) = in_token
        && find(records, kek)? != *record
    {
        return Err(CanaryError::Changed);
    }
    open(session, kek.handle, record, slot)?;
    // Where the token makes no copy, both are one key: a slow token is not asked twice.
    if session_kek == kek.handle { Ok(()) } else { open(session, session_kek, record, slot) }
}

impl CanaryError {
    /// The same as a refusal of the token, for the table of actions.
    pub(crate) fn as_token_error(&self) -> TokenError {
        let violation = |what| TokenError::protocol_violation(Function::FindObjects, what);
        match self {
            Self::Token(error) => *error,
            Self::Outside(_) => violation("the canary record cannot be read where it is stored"),
            Self::Count(_) => violation("the canary record is not there once"),
            Self::Changed | Self::Format0_1 | Self::Unendorsed => {
                violation("the canary record is not the one that was stored")
            }
            Self::Wrong => violation("the canary record decrypts to something else"),
        }
    }
}

impl From<RecordsError> for CanaryError {
    fn from(error: RecordsError) -> Self {
        match error {
            RecordsError::Token(error) => error.into(),
            RecordsError::Outside(source) => Self::Outside(source),
        }
    }
}

impl From<CanaryError> for OpenError {
    fn from(error: CanaryError) -> Self {
        match error {
            CanaryError::Token(error) => Self::CanaryFailed { source: Some(error) },
            CanaryError::Outside(source) => Self::Records(source),
            CanaryError::Count(count) => Self::CanaryMissing { count },
            CanaryError::Format0_1 => Self::RecordFormat,
            CanaryError::Changed | CanaryError::Wrong | CanaryError::Unendorsed => {
                Self::CanaryFailed { source: None }
            }
        }
    }
}
