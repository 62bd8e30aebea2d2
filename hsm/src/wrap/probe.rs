//! Live probe of a scheme. That a mechanism is listed proves nothing: SoftHSM lists an OAEP that ignores its label,
//! other tokens list what always fails.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectHandle};
use cryptoki::types::Ulong;

use super::record::{Header, PLAIN_LEN, Payload, WrappedKey};
use super::scheme::{Scheme, SealError};
use super::sealing::{open, seal_known};
use crate::arena::Slot;
use crate::key::{KeyId, StoredName};
use crate::pkcs11::{Session, TokenError};

/// Why a token cannot be trusted with records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProbeError {
    #[error("its encryption failed: {0}")]
    Token(#[from] TokenError),
    #[error("its encryption does not give back what was sealed")]
    RoundTrip,
    #[error("its encryption opens a record under another header: records could be swapped")]
    IgnoresHeader,
    #[error("its encryption opens a changed ciphertext")]
    IgnoresTag,
}

/// Begins and ends with zeros, which some tokens cut off.
const VECTOR: &[u8; PLAIN_LEN] = b"\0\0probe: a public text, 32 B.\0\0\0";

/// Seals a known text and demands that it opens, and that nothing else does. `session` gives a new one each time, because a
/// refusal may spoil one.
pub(crate) fn probe(
    scheme: Scheme,
    session: impl Fn() -> Result<Session, TokenError>,
    key: ObjectHandle,
    slot: &mut Slot,
) -> Result<(), ProbeError> {
    let header = Header {
        scheme,
        iv_policy: scheme.iv_policy(),
        kek: [1; 16],
        key: KeyId::from_bytes([2; 16]),
        owner: [3; 20],
        version: 4,
        name: StoredName::CANARY,
        created: 5,
        payload: Payload::Canary,
    };
    let record = match seal_known(&session()?, key, header, VECTOR) {
        Ok(record) => record,
        Err(SealError::Token(error)) => return Err(error.into()),
        Err(SealError::Random(_) | SealError::Length(_)) => return Err(ProbeError::RoundTrip),
    };
    match open(&session()?, key, &record, slot) {
        Ok(opened) if opened.holds(VECTOR) => {}
        Ok(_) => return Err(ProbeError::RoundTrip),
        Err(error) => return Err(error.as_token_error().into()),
    }
    let swapped = Header { owner: [6; 20], ..header };
    if open(&session()?, key, &WrappedKey::new(swapped, *record.iv(), *record.sealed()), slot).is_ok() {
        return Err(ProbeError::IgnoresHeader);
    }
    let mut sealed = *record.sealed();
    sealed[0] ^= 1;
    if open(&session()?, key, &WrappedKey::new(header, *record.iv(), sealed), slot).is_ok() {
        return Err(ProbeError::IgnoresTag);
    }
    Ok(())
}

/// The first scheme that works with a key that lives as long as the probe, of the kind that a key-encryption key is.
pub(crate) fn probe_new_key(
    session: impl Fn() -> Result<Session, TokenError>,
    slot: &mut Slot,
) -> Result<Scheme, ProbeError> {
    let mut refused = ProbeError::RoundTrip;
    for scheme in Scheme::ALL {
        match probe_scheme(*scheme, &session, slot) {
            Ok(()) => return Ok(*scheme),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

fn probe_scheme(
    scheme: Scheme,
    session: impl Fn() -> Result<Session, TokenError>,
    slot: &mut Slot,
) -> Result<(), ProbeError> {
    let owner = session()?;
    let template = [
        Attribute::ValueLen(Ulong::new(32)),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
    ];
    let key = owner.generate_key(&Mechanism::AesKeyGen, &template)?;
    let probed = probe(scheme, session, key, slot);
    owner.destroy(key)?;
    probed
}
