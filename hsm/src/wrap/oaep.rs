//! Scheme S5: RSA-OAEP with 3072 bits. Sealed in guarded memory with the public key, opened by the token's C_Decrypt.
//!
//! What is sealed is the scalar and the SHA-256 of the header, so a record under another header does not open. The
//! public key is enough to seal: the checkpoint key endorses each record (`endorsement`). The label is empty, because
//! SoftHSM ignores it. Padding and power are computed on the guarded stack (`padding`).

mod padding;

use cryptoki::object::ObjectHandle;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::record::{Header, WrappedKey};
use super::scheme::{ENDORSEMENT_LEN, PLAIN_LEN, SealError};
use crate::arena::{SLOT_LEN, Slot};
use crate::pkcs11::{Function, OaepHash, RSA_LEN, RsaModulus, Session, TokenError};

const DIGEST_LEN: usize = 32;
/// Where the seed of the padding is in the page.
const SEED_AT: usize = PLAIN_LEN + DIGEST_LEN;

/// Seals the scalar in the first 32 bytes of the slot, which stays there. The record is not endorsed yet.
pub(super) fn seal(
    session: &Session,
    kek: ObjectHandle,
    header: Header,
    hash: OaepHash,
    slot: &mut Slot,
) -> Result<WrappedKey, SealError> {
    let modulus = modulus(session, kek)?;
    let digest = Sha256::digest(header.aad());
    let text = slot.page().get_mut(PLAIN_LEN..).unwrap_or_default();
    text.iter_mut().zip(digest).for_each(|(place, byte)| *place = byte);
    let drawn = getrandom::fill(slot.page().get_mut(SEED_AT..SEED_AT + hash.len()).unwrap_or_default());
    let sealed = drawn.map(|()| slot.run(|page| encrypt(page, hash, &modulus)));
    slot.page().get_mut(PLAIN_LEN..).unwrap_or_default().zeroize();
    let mut unendorsed = [0; RSA_LEN + ENDORSEMENT_LEN];
    unendorsed.iter_mut().zip(sealed?).for_each(|(place, byte)| *place = byte);
    WrappedKey::new(header, &[], &unendorsed).ok_or(SealError::Length(0))
}

/// Opens the record into the first 32 bytes of the slot; gives the number of bytes of the scalar.
pub(super) fn open(
    session: &Session,
    kek: ObjectHandle,
    record: &WrappedKey,
    hash: OaepHash,
    slot: &mut Slot,
) -> Result<usize, TokenError> {
    let sealed = record.sealed().get(..RSA_LEN).unwrap_or_default();
    let length = session.decrypt_oaep(hash, kek, sealed, slot.page())?;
    let digest = Sha256::digest(record.aad());
    let opened = slot.page().get_mut(PLAIN_LEN..SEED_AT).unwrap_or_default();
    let same = bool::from((*opened).ct_eq(&digest[..]));
    opened.zeroize();
    match (length.checked_sub(DIGEST_LEN), same) {
        (Some(length), true) => Ok(length),
        (Some(PLAIN_LEN), false) => {
            let what = "the record was sealed under another header";
            Err(TokenError::protocol_violation(Function::Decrypt, what))
        }
        _ => Err(TokenError::protocol_violation(Function::Decrypt, "it gave another number of bytes")),
    }
}

fn modulus(session: &Session, kek: ObjectHandle) -> Result<[u8; RSA_LEN], TokenError> {
    let unfit = |what| Err(TokenError::protocol_violation(Function::GetAttributeValue, what));
    match session.rsa_modulus(kek)? {
        RsaModulus::Fit(modulus) => Ok(modulus),
        RsaModulus::Hidden => unfit("its RSA key shows no modulus"),
        RsaModulus::Unfit(what) => unfit(what),
    }
}

/// The ciphertext of the text in the page, padded with the seed behind it. On the guarded stack alone.
fn encrypt(page: &[u8; SLOT_LEN], hash: OaepHash, modulus: &[u8; RSA_LEN]) -> [u8; RSA_LEN] {
    let (text, rest) = page.split_at(SEED_AT);
    let seed = rest.get(..hash.len()).unwrap_or_default();
    match hash {
        OaepHash::Sha256 => padding::encrypt::<Sha256>(text, seed, modulus),
        OaepHash::Sha1 => padding::encrypt::<Sha1>(text, seed, modulus),
    }
}
