//! Scheme S2: AES key wrap (RFC 3394, else RFC 5649) by the token's C_Encrypt and C_Decrypt.
//!
//! What is wrapped is the scalar and the SHA-256 of the header, so a record under another header does not open. Never
//! mechanism 0x210A: three meanings of it were seen.

use cryptoki::object::ObjectHandle;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::record::{Header, WrappedKey};
use super::scheme::{PLAIN_LEN, SEALED_MAX, SealError};
use crate::arena::Slot;
use crate::pkcs11::{Function, KeyWrap, Session, TokenError};

const DIGEST_LEN: usize = 32;

/// Seals the scalar in the first 32 bytes of the slot, which stays there.
pub(super) fn seal(
    session: &Session,
    kek: ObjectHandle,
    header: Header,
    mechanism: KeyWrap,
    slot: &mut Slot,
) -> Result<WrappedKey, SealError> {
    let digest = Sha256::digest(header.aad());
    let text = slot.page().get_mut(..PLAIN_LEN + DIGEST_LEN).unwrap_or_default();
    text.iter_mut().skip(PLAIN_LEN).zip(digest).for_each(|(place, byte)| *place = byte);
    let mut out = [0; SEALED_MAX];
    let length = session.wrap_bytes(mechanism, kek, text, &mut out)?;
    let sealed = out.get(..length).unwrap_or_default();
    WrappedKey::new(header, &[], sealed).ok_or(SealError::Length(length))
}

/// Opens the record into the first 32 bytes of the slot; gives the number of bytes of the scalar.
pub(super) fn open(
    session: &Session,
    kek: ObjectHandle,
    record: &WrappedKey,
    mechanism: KeyWrap,
    slot: &mut Slot,
) -> Result<usize, TokenError> {
    let length = session.unwrap_bytes(mechanism, kek, record.sealed(), slot.page())?;
    let digest = Sha256::digest(record.aad());
    let opened = slot.page().get_mut(PLAIN_LEN..PLAIN_LEN + DIGEST_LEN).unwrap_or_default();
    let same = bool::from((*opened).ct_eq(&digest[..]));
    opened.zeroize();
    match (length.checked_sub(DIGEST_LEN), same) {
        (Some(length), true) => Ok(length),
        (Some(PLAIN_LEN), false) => {
            let what = "the record was wrapped under another header";
            Err(TokenError::protocol_violation(Function::Decrypt, what))
        }
        _ => Err(TokenError::protocol_violation(Function::Decrypt, "it gave another number of bytes")),
    }
}
