//! Scheme S1: AES-256-GCM by the token's C_Encrypt and C_Decrypt, the record's header authenticated.
//!
//! A vector that repeats under one key gives the key of the tags away and the XOR of two scalars. So a vector of the
//! token's is checked as far as it can be: never zeros, never one that another record of the key has (`keys::create`).

use cryptoki::object::ObjectHandle;

use super::record::{Header, WrappedKey};
use super::scheme::{IvPlace, IvPolicy, PLAIN_LEN, SEALED_MAX, SealError};
use crate::arena::SLOT_LEN;
use crate::pkcs11::{IV_LEN, Session, TokenError};

pub(super) fn seal(
    session: &Session,
    kek: ObjectHandle,
    header: Header,
    policy: IvPolicy,
    plain: &[u8; PLAIN_LEN],
) -> Result<WrappedKey, SealError> {
    let mut given = [0; IV_LEN];
    if policy.place() == IvPlace::Given {
        getrandom::fill(&mut given)?;
    }
    let before = given;
    let mut out = [0; SEALED_MAX];
    let iv = given.get_mut(..policy.given_len()).unwrap_or_default();
    let length = session.encrypt(policy.mechanism(), kek, iv, &header.aad(), plain, &mut out)?;
    let out = out.get(..length).unwrap_or_default();
    let (iv, sealed) = match policy.place() {
        IvPlace::Given if given != before => {
            return Err(SealError::Iv("it replaced the initialisation vector that it was given"));
        }
        IvPlace::Given | IvPlace::WrittenBack => (&given[..], out),
        IvPlace::Appended => {
            let (sealed, iv) =
                out.split_at_checked(header.scheme.sealed_len()).ok_or(SealError::Length(length))?;
            (iv, sealed)
        }
        IvPlace::InFront => out.split_at_checked(IV_LEN).ok_or(SealError::Length(length))?,
    };
    let record = WrappedKey::new(header, iv, sealed).ok_or(SealError::Length(length))?;
    if record.iv().iter().all(|byte| *byte == 0) {
        return Err(SealError::Iv("its initialisation vector is zeros"));
    }
    Ok(record)
}

/// Gives the number of bytes that the token reports to have written.
pub(super) fn open(
    session: &Session,
    kek: ObjectHandle,
    record: &WrappedKey,
    policy: IvPolicy,
    page: &mut [u8; SLOT_LEN],
) -> Result<usize, TokenError> {
    let (mechanism, aad) = (policy.mechanism(), record.aad());
    match policy.place() {
        IvPlace::Given | IvPlace::WrittenBack | IvPlace::Appended => {
            session.decrypt(mechanism, kek, record.iv(), aad, record.sealed(), page)
        }
        IvPlace::InFront => {
            session.decrypt(mechanism, kek, &[], aad, &[record.iv(), record.sealed()].concat(), page)
        }
    }
}
