//! Scheme S1: a scalar sealed by the token with AES-256-GCM, its record the authenticated context. Not for threads,
//! queues or recovery.
//!
//! A clear scalar exists only as an [`UnwrappedScalar`] guard on a slot; dropping it wipes the slot.

mod kek;
mod object;
mod probe;
mod record;
mod scalar;

pub(crate) use kek::{Kek, KekError};
pub(crate) use object::{
    ObjectKind, StoredRecord, data_template, data_value, find_data, find_labelled, key_label, scan, store,
};
pub(crate) use probe::{ProbeError, probe, probe_alone};
pub(crate) use record::{Content, Header, PLAIN_LEN, SEALED_LEN, WrappedKey};
pub(crate) use scalar::{Fingerprint, GenerateError, UnwrappedScalar, UseError};

use cryptoki::object::ObjectHandle;

use crate::arena::Slot;
use crate::pkcs11::{Function, IV_LEN, Session, TokenError};

/// What the canary record wraps. Known to everybody: it proves the key and the token, not a secret.
pub(crate) const CANARY_PLAINTEXT: &[u8; PLAIN_LEN] = b"avs-kms canary, known plaintext.";

/// Why a record gave no scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnwrapError {
    /// The token refused; whether the record or the token is at fault, only the canary tells.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The token claims success and gave another number of bytes.
    #[error("the token gave {0} bytes where {PLAIN_LEN} were sealed")]
    Length(usize),
}

/// Seals 32 bytes under `kek` as a record with this header.
pub(crate) fn seal(
    session: &Session,
    kek: ObjectHandle,
    header: Header,
    plain: &[u8; PLAIN_LEN],
) -> Result<WrappedKey, SealError> {
    let mut iv = [0; IV_LEN];
    getrandom::fill(&mut iv)?;
    let mut sealed = [0; SEALED_LEN + 16];
    let length = session.encrypt(kek, &mut iv, &header.aad(), plain, &mut sealed)?;
    let sealed = sealed.get(..length).and_then(|sealed| <[u8; SEALED_LEN]>::try_from(sealed).ok());
    Ok(WrappedKey::new(header, iv, sealed.ok_or(SealError::Length(length))?))
}

/// Why nothing was sealed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("the kernel's generator failed")]
    Random(#[from] getrandom::Error),
    #[error("the token made {0} bytes of ciphertext")]
    Length(usize),
}

/// Opens a record straight into the slot. The slot is wiped before this returns an error.
pub(crate) fn open<'slot>(
    session: &Session,
    kek: ObjectHandle,
    record: &WrappedKey,
    slot: &'slot mut Slot,
) -> Result<UnwrappedScalar<'slot>, UnwrapError> {
    let mut unlocked = UnwrappedScalar::guard(slot);
    let length = session.decrypt(kek, record.iv(), record.aad(), record.sealed(), unlocked.page())?;
    if length != PLAIN_LEN {
        return Err(UnwrapError::Length(length));
    }
    Ok(unlocked)
}

impl UnwrapError {
    /// The same as a refusal of the token, for the table of actions.
    pub(crate) fn as_token_error(self) -> TokenError {
        match self {
            Self::Token(error) => error,
            Self::Length(_) => {
                TokenError::protocol_violation(Function::Decrypt, "it gave another number of bytes")
            }
        }
    }
}
