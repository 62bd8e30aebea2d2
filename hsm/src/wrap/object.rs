//! Records as data objects of the token: labels, template, search, and telling sound ones from the rest. Nothing is
//! deleted here on suspicion.

use std::collections::HashSet;

use cryptoki_sys::*;

use super::record::{Record, RecordError};
use crate::key::KeyId;
use crate::labels::{ANCHOR_LABEL, APPLICATION, CANARY_LABEL, CHECKPOINT_KEY_LABEL, KEK_LABEL, KEY_PREFIX};
use crate::pkcs11::{Attribute, ObjectHandle, Request, Session, TokenError};

/// Longest value that is read; a record has less than 400 bytes.
const VALUE_MAX: usize = 1024;
/// More objects than any token of ours holds; a module that never stops listing is stopped here.
const OBJECTS_MAX: usize = 1_000_000;

/// Label of a key's record.
pub(crate) fn key_label(id: KeyId) -> String {
    format!("{KEY_PREFIX}{id}")
}

/// An object of ours with what it says.
pub(crate) struct Stored {
    pub(crate) handle: ObjectHandle,
    pub(crate) record: Result<Record, RecordError>,
}

/// What one object of the token is.
pub(crate) enum Found {
    /// Labelled as a key's record.
    Key(KeyId, Box<Result<Record, RecordError>>),
    /// The canary record, or the key-encryption key.
    Own,
    /// Left by an interrupted creation: no readable class, or a data object without label or value.
    HalfMade,
    /// Another application's.
    Foreign,
}

/// Creates the private data object of a record.
pub(crate) fn store(session: &Session, label: &str, record: &Record) -> Result<ObjectHandle, TokenError> {
    session.create(&[
        Attribute::Number(CKA_CLASS, CKO_DATA),
        Attribute::Flag(CKA_TOKEN, true),
        Attribute::Flag(CKA_PRIVATE, true),
        Attribute::Flag(CKA_MODIFIABLE, false),
        Attribute::Bytes(CKA_LABEL, label.as_bytes()),
        Attribute::Bytes(CKA_APPLICATION, APPLICATION.as_bytes()),
        Attribute::Bytes(CKA_VALUE, record.encoded()),
    ])
}

/// Every object of ours with this label.
pub(crate) fn find_labelled(session: &Session, label: &str) -> Result<Vec<Stored>, TokenError> {
    let template = [
        Attribute::Number(CKA_CLASS, CKO_DATA),
        Attribute::Bytes(CKA_APPLICATION, APPLICATION.as_bytes()),
        Attribute::Bytes(CKA_LABEL, label.as_bytes()),
    ];
    let read = |handle| {
        let mut value = [0; VALUE_MAX];
        let mut request = [Request::new(CKA_VALUE, &mut value)];
        session.read(handle, &mut request)?;
        let record = Record::parse(request[0].bytes().unwrap_or_default());
        Ok(Stored { handle, record })
    };
    session.find(&template, 64)?.into_iter().map(read).collect()
}

/// Every object of the token: data objects are read whole, of others only class and label.
pub(crate) fn scan(session: &Session, mut each: impl FnMut(Found)) -> Result<(), TokenError> {
    let data = session.find(&[Attribute::Number(CKA_CLASS, CKO_DATA)], OBJECTS_MAX)?;
    for handle in &data {
        each(data_object(session, *handle)?);
    }
    let data: HashSet<_> = data.into_iter().collect();
    for handle in session.find(&[], OBJECTS_MAX)?.into_iter().filter(|handle| !data.contains(handle)) {
        each(other_object(session, handle)?);
    }
    Ok(())
}

fn data_object(session: &Session, handle: ObjectHandle) -> Result<Found, TokenError> {
    let (mut label, mut application, mut value) = ([0; 256], [0; 64], [0; VALUE_MAX]);
    let mut requests = [
        Request::new(CKA_LABEL, &mut label),
        Request::new(CKA_APPLICATION, &mut application),
        Request::new(CKA_VALUE, &mut value),
    ];
    if half_made(session.read(handle, &mut requests))? {
        return Ok(Found::HalfMade);
    }
    let [label, application, value] = requests.each_ref().map(|request| request.bytes().unwrap_or_default());
    let record = Record::parse(value);
    if application.is_empty() && (label.is_empty() || value.is_empty()) {
        return Ok(Found::HalfMade);
    }
    if application != APPLICATION.as_bytes() {
        return Ok(Found::Foreign);
    }
    if [CANARY_LABEL, ANCHOR_LABEL].iter().any(|own| label == own.as_bytes()) {
        return Ok(Found::Own);
    }
    let id = std::str::from_utf8(label).ok().and_then(|label| label.strip_prefix(KEY_PREFIX));
    Ok(match id.and_then(|id| id.parse().ok()) {
        Some(id) => Found::Key(id, Box::new(record)),
        None => Found::HalfMade,
    })
}

fn other_object(session: &Session, handle: ObjectHandle) -> Result<Found, TokenError> {
    let (mut class, mut label) = ([0; size_of::<CK_ULONG>()], [0; 256]);
    let mut requests = [Request::new(CKA_CLASS, &mut class), Request::new(CKA_LABEL, &mut label)];
    if half_made(session.read(handle, &mut requests))? || requests[0].bytes().is_none() {
        return Ok(Found::HalfMade);
    }
    let label_matches = |own: &str| requests[1].bytes() == Some(own.as_bytes());
    let (kek, notary) = (label_matches(KEK_LABEL), label_matches(CHECKPOINT_KEY_LABEL));
    let own = match CK_ULONG::from_ne_bytes(class) {
        CKO_SECRET_KEY => kek,
        CKO_PRIVATE_KEY | CKO_PUBLIC_KEY => notary,
        _ => false,
    };
    Ok(if own { Found::Own } else { Found::Foreign })
}

/// SoftHSM says ATTRIBUTE_VALUE_INVALID of an object whose file was cut before its class was written.
fn half_made(read: Result<(), TokenError>) -> Result<bool, TokenError> {
    match read {
        Ok(()) => Ok(false),
        Err(TokenError { code, .. }) if code.0 == CKR_ATTRIBUTE_VALUE_INVALID => Ok(true),
        Err(error) => Err(error),
    }
}
