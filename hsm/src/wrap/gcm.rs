//! Scheme S1: AES-256-GCM by the token's C_Encrypt and C_Decrypt, the record's header authenticated.

use cryptoki::object::ObjectHandle;

use super::record::{Header, PLAIN_LEN, SEALED_LEN, WrappedKey};
use super::scheme::SealError;
use crate::arena::SLOT_LEN;
use crate::pkcs11::{IV_LEN, Session, TokenError};

pub(super) fn seal(
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

/// Gives the number of bytes that the token reports to have written.
pub(super) fn open(
    session: &Session,
    kek: ObjectHandle,
    record: &WrappedKey,
    page: &mut [u8; SLOT_LEN],
) -> Result<usize, TokenError> {
    session.decrypt(kek, record.iv(), record.aad(), record.sealed(), page)
}
