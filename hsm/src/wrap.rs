//! Scheme S1: a scalar sealed by the token with AES-256-GCM, its record the authenticated context. Not for threads,
//! queues or recovery.
//!
//! A clear scalar exists only as an [`Unlocked`] guard on a slot; dropping it wipes the slot.

mod kek;
mod object;
mod probe;
mod record;
mod scalar;

pub(crate) use kek::{Kek, KekError};
pub(crate) use object::{Found, Stored, find_labelled, key_label, scan, store};
pub(crate) use probe::{Unfit, probe, probe_alone};
pub(crate) use record::{Content, Header, PLAIN_LEN, Record, SEALED_LEN};
pub(crate) use scalar::{Fingerprint, GenerateError, Unlocked, UseError};

use crate::arena::Slot;
use crate::pkcs11::{Code, IV_LEN, ObjectHandle, Session, TokenError};

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
) -> Result<Record, SealError> {
    let mut iv = [0; IV_LEN];
    getrandom::fill(&mut iv)?;
    let mut sealed = [0; SEALED_LEN + 16];
    let length = session.encrypt(kek, &mut iv, &header.aad(), plain, &mut sealed)?;
    let sealed = sealed.get(..length).and_then(|sealed| <[u8; SEALED_LEN]>::try_from(sealed).ok());
    Ok(Record::new(header, iv, sealed.ok_or(SealError::Length(length))?))
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
pub(crate) fn unwrap<'slot>(
    session: &Session,
    kek: ObjectHandle,
    record: &Record,
    slot: &'slot mut Slot,
) -> Result<Unlocked<'slot>, UnwrapError> {
    let mut unlocked = Unlocked::guard(slot);
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
            Self::Length(_) => TokenError {
                call: crate::pkcs11::Call::Decrypt,
                code: Code(cryptoki_sys::CKR_ENCRYPTED_DATA_INVALID),
            },
        }
    }
}
