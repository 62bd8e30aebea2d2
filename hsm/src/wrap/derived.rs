//! Scheme S6: AES-256-GCM in guarded memory, under a key of this record alone that the token derives by HMAC-SHA-256.
//!
//! The derivation is SP 800-108r1 in counter mode, one block: `00000001 ‖ label ‖ 00 ‖ SHA-256(header) ‖ salt ‖
//! 00000100`. The key serves one record, so its nonce is zeros. The token never sees the scalar; the derived key is worth
//! what the scalar is, and is wiped with it. AES and GHASH are RustCrypto's: constant time by construction (AES-NI and
//! PCLMULQDQ, else bitsliced AES and multiplication without tables).

use aes_gcm::aead::{AeadInPlace, KeyInit};
use aes_gcm::{Aes256Gcm, Key, Nonce, Tag};
use cryptoki::object::ObjectHandle;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::record::{Header, WrappedKey};
use super::scheme::{PLAIN_LEN, SALT_LEN, SealError};
use crate::arena::{SLOT_LEN, Slot};
use crate::pkcs11::{Function, Session, TAG_LEN, TokenError};

const LABEL: &[u8] = b"avs-kms/record/2";
const KEY_LEN: usize = 32;
/// Where the derived key is in the page. The module may write into all that follows.
const KEY_AT: usize = 64;
/// Where another key, and the same once more, are compared with it.
const OTHER_AT: usize = SLOT_LEN / 2;
const AGAIN_AT: usize = SLOT_LEN / 4 * 3;

/// Seals the scalar in the first 32 bytes of the slot, which stays there.
pub(super) fn seal(
    session: &Session,
    kek: ObjectHandle,
    header: Header,
    slot: &mut Slot,
) -> Result<WrappedKey, SealError> {
    let mut salt = [0; SALT_LEN];
    getrandom::fill(&mut salt)?;
    let aad = header.aad();
    let derived = derive_distinct(session, kek, &aad, &salt, slot);
    let sealed = derived.map(|()| slot.run(|page| encrypt(page, &aad)));
    forget_keys(slot);
    WrappedKey::new(header, &salt, &sealed?).ok_or(SealError::Length(0))
}

/// Opens the record into the first 32 bytes of the slot.
pub(super) fn open(
    session: &Session,
    kek: ObjectHandle,
    record: &WrappedKey,
    slot: &mut Slot,
) -> Result<(), TokenError> {
    let derived = derive(session, kek, record.aad(), record.iv(), slot, KEY_AT);
    let opened = derived.map(|()| slot.run(|page| decrypt(page, record.aad(), record.sealed())));
    forget_keys(slot);
    match opened? {
        true => Ok(()),
        false => {
            let what = "the record does not open under the key that it derived";
            Err(TokenError::protocol_violation(Function::Sign, what))
        }
    }
}

/// The key of the record, straight from the token into the slot.
fn derive(
    session: &Session,
    kek: ObjectHandle,
    aad: &[u8],
    salt: &[u8],
    slot: &mut Slot,
    at: usize,
) -> Result<(), TokenError> {
    let text = [&[0, 0, 0, 1], LABEL, &[0], &Sha256::digest(aad)[..], salt, &[0, 0, 1, 0]].concat();
    let out = slot.page().get_mut(at..).unwrap_or_default();
    match session.derive_key(kek, &text, out)? {
        KEY_LEN => Ok(()),
        _ => Err(TokenError::protocol_violation(Function::Sign, "its MAC is not 32 bytes long")),
    }
}

/// As [`derive()`], for a new record. A token that gives one key for two texts would give every record the same, and one
/// that answers with the MAC of an earlier call a key that it will not give again.
fn derive_distinct(
    session: &Session,
    kek: ObjectHandle,
    aad: &[u8],
    salt: &[u8; SALT_LEN],
    slot: &mut Slot,
) -> Result<(), SealError> {
    let other = salt.map(|byte| !byte);
    derive(session, kek, aad, salt, slot, KEY_AT)?;
    derive(session, kek, aad, &other, slot, OTHER_AT)?;
    derive(session, kek, aad, salt, slot, AGAIN_AT)?;
    let same = |page: &[u8; SLOT_LEN], at| bool::from(key(page, KEY_AT).ct_eq(&key(page, at)));
    match slot.run(|page| (same(page, OTHER_AT), same(page, AGAIN_AT))) {
        (false, true) => Ok(()),
        (true, _) => Err(SealError::Iv("it derives one key for two records")),
        (false, false) => Err(SealError::Iv("it derives two keys for one record")),
    }
}

fn forget_keys(slot: &mut Slot) {
    slot.page().get_mut(KEY_AT..).unwrap_or_default().zeroize();
}

/// On the guarded stack alone, like what follows: a secret is in its locals.
fn key(page: &[u8; SLOT_LEN], at: usize) -> [u8; KEY_LEN] {
    const { assert!(PLAIN_LEN <= KEY_AT && AGAIN_AT + KEY_LEN <= SLOT_LEN) };
    // Always there, as just asserted.
    page.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default()
}

/// The key of a record, for the tests that search memory for it.
#[cfg(test)]
pub(crate) fn key_for_test(
    session: &Session,
    kek: ObjectHandle,
    record: &WrappedKey,
    slot: &mut Slot,
) -> [u8; KEY_LEN] {
    #[allow(clippy::unwrap_used)] // a failed unwrap is a failed test
    derive(session, kek, record.aad(), record.iv(), slot, KEY_AT).unwrap();
    key(slot.page(), KEY_AT)
}

fn encrypt(page: &[u8; SLOT_LEN], aad: &[u8]) -> [u8; PLAIN_LEN + TAG_LEN] {
    let mut sealed = [0; PLAIN_LEN + TAG_LEN];
    let (text, place) = sealed.split_at_mut(PLAIN_LEN);
    text.iter_mut().zip(page).for_each(|(place, byte)| *place = *byte);
    let cipher = Aes256Gcm::new(&Key::<Aes256Gcm>::from(key(page, KEY_AT)));
    match cipher.encrypt_in_place_detached(&Nonce::default(), aad, text) {
        Ok(tag) => place.copy_from_slice(&tag),
        // Only of texts of 64 GiB. Nothing in the clear leaves, and no zeros open.
        Err(_) => text.fill(0),
    }
    sealed
}

/// Whether the tag is right; only then the text is written.
fn decrypt(page: &mut [u8; SLOT_LEN], aad: &[u8], sealed: &[u8]) -> bool {
    let Some((text, tag)) = sealed.split_first_chunk::<PLAIN_LEN>() else { return false };
    let Ok(tag) = <[u8; TAG_LEN]>::try_from(tag) else { return false };
    let mut text = *text;
    let cipher = Aes256Gcm::new(&Key::<Aes256Gcm>::from(key(page, KEY_AT)));
    let opened = cipher.decrypt_in_place_detached(&Nonce::default(), aad, &mut text, &Tag::from(tag));
    if opened.is_ok() {
        page.iter_mut().zip(text).for_each(|(place, byte)| *place = byte);
    }
    opened.is_ok()
}
