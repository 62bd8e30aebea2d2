//! The canary record: a known plaintext that tells one bad record from a token in trouble. Not for what follows.

use cryptoki::object::ObjectHandle;

use crate::arena::Slot;
use crate::error::OpenError;
use crate::key::{KeyId, StoredName};
use crate::labels::CANARY_LABEL;
use crate::pkcs11::{Function, Session, TokenError};
use crate::wrap::{self, Header, Kek, PLAIN_LEN, Payload, RecordError, Scheme, UnwrapError, WrappedKey};

/// What the canary record wraps. Public: it proves the key and the token, not a secret.
const CANARY_PLAINTEXT: &[u8; PLAIN_LEN] = b"avs-kms canary, known plaintext.";

/// The canary failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CanaryError {
    #[error("the canary could not be checked")]
    Token(#[from] TokenError),
    #[error("{0} canary records were found")]
    Count(usize),
    #[error("the canary record is not the one it was")]
    Changed,
    #[error("the canary record: {}", RecordError::Format0_1)]
    Format0_1,
    #[error("the canary decrypted to something else")]
    Wrong,
}

/// Makes the canary record of a new key-encryption key.
pub(crate) fn create(session: &Session, kek: &Kek, scheme: Scheme, slot: &mut Slot) -> Result<(), OpenError> {
    let header = Header {
        scheme,
        kek: kek.id,
        key: KeyId::from_bytes([0; 16]),
        owner: [0; 20],
        version: 0,
        name: StoredName::CANARY,
        created: crate::clock::unix_seconds(),
        payload: Payload::Canary,
    };
    let sealed = wrap::seal_known(session, kek.handle, header, CANARY_PLAINTEXT, slot);
    let record = sealed.map_err(|error| match error.into_token_error() {
        Ok(error) => OpenError::from(error),
        Err(error) => error.into(),
    })?;
    wrap::store(session, CANARY_LABEL, &record)?;
    let found = find(session, kek)?;
    if found != record {
        return Err(OpenError::CanaryFailed { source: None });
    }
    Ok(open(session, kek.handle, &found, slot)?)
}

/// Whether the token holds any canary record.
pub(crate) fn exists(session: &Session) -> Result<bool, TokenError> {
    Ok(!wrap::find_labelled(session, CANARY_LABEL)?.is_empty())
}

/// The one canary record of this key-encryption key.
pub(crate) fn find(session: &Session, kek: &Kek) -> Result<WrappedKey, CanaryError> {
    let found = wrap::find_labelled(session, CANARY_LABEL)?;
    let count = found.len();
    if found.iter().any(|stored| matches!(stored.record, Err(RecordError::Format0_1))) {
        return Err(CanaryError::Format0_1);
    }
    let mut sound = found
        .into_iter()
        .filter_map(|stored| stored.record.ok())
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

/// Found in the token again, the same, and decrypted by both keys: whether the token itself is there and whole.
pub(crate) fn deep(
    session: &Session,
    kek: &Kek,
    session_kek: ObjectHandle,
    record: &WrappedKey,
    slot: &mut Slot,
) -> Result<(), CanaryError> {
    let found = find(session, kek)?;
    if found != *record {
        return Err(CanaryError::Changed);
    }
    open(session, kek.handle, &found, slot)?;
    // Where the token makes no copy, both are one key: a slow token is not asked twice.
    if session_kek == kek.handle { Ok(()) } else { open(session, session_kek, record, slot) }
}

impl CanaryError {
    /// The same as a refusal of the token, for the table of actions.
    pub(crate) fn as_token_error(self) -> TokenError {
        let violation = |what| TokenError::protocol_violation(Function::FindObjects, what);
        match self {
            Self::Token(error) => error,
            Self::Count(_) => violation("the canary record is not there once"),
            Self::Changed | Self::Format0_1 => violation("the canary record is not the one that was stored"),
            Self::Wrong => violation("the canary record decrypts to something else"),
        }
    }
}

impl From<CanaryError> for OpenError {
    fn from(error: CanaryError) -> Self {
        match error {
            CanaryError::Token(error) => Self::CanaryFailed { source: Some(error) },
            CanaryError::Count(count) => Self::CanaryMissing { count },
            CanaryError::Format0_1 => Self::RecordFormat,
            CanaryError::Changed | CanaryError::Wrong => Self::CanaryFailed { source: None },
        }
    }
}
