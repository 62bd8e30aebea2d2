//! Records as data objects of the token: labels, template, search, and telling sound ones from the rest. Nothing is
//! deleted on suspicion.

use std::collections::HashSet;

use cryptoki::error::RvError;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};

use super::record::{RecordError, WrappedKey};
use crate::key::KeyId;
use crate::labels::{
    ANCHOR_LABEL, APPLICATION, CANARY_LABEL, CHECKPOINT_KEY_LABEL, CHECKPOINT_SEED_LABEL, KEK_LABEL,
    KEY_PREFIX, STORE_KEY_LABEL,
};
use crate::pkcs11::{Cause, Session, TokenError};

/// More objects than any token of ours holds; a module that never stops listing is stopped here.
const OBJECTS_MAX: usize = 1_000_000;

/// Label of a key's record.
pub(crate) fn key_label(id: KeyId) -> String {
    format!("{KEY_PREFIX}{id}")
}

/// An object of ours with what it says.
pub(crate) struct StoredRecord {
    pub(crate) handle: ObjectHandle,
    pub(crate) record: Result<WrappedKey, RecordError>,
}

/// What one object of the token is.
pub(crate) enum ObjectKind {
    /// Labelled as a key's record.
    Key(KeyId, Box<Result<WrappedKey, RecordError>>),
    /// The canary record, the store key, the sealed checkpoint key, the anchor, or a key of ours.
    Internal,
    /// Left by an interrupted creation: no readable class, or a data object without label or value.
    Incomplete,
    /// Another application's.
    Foreign,
}

/// Creates the private data object of a record.
pub(crate) fn store(session: &Session, label: &str, record: &WrappedKey) -> Result<ObjectHandle, TokenError> {
    session.create(&data_template(label, record.encoded()))
}

/// Template of a private data object of this program.
pub(crate) fn data_template(label: &str, value: &[u8]) -> [Attribute; 7] {
    [
        Attribute::Class(ObjectClass::DATA),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Modifiable(false),
        Attribute::Label(label.into()),
        Attribute::Application(APPLICATION.into()),
        Attribute::Value(value.into()),
    ]
}

/// Handles of this program's data objects with this label.
pub(crate) fn find_data(session: &Session, label: &str) -> Result<Vec<ObjectHandle>, TokenError> {
    let template = [
        Attribute::Class(ObjectClass::DATA),
        Attribute::Application(APPLICATION.into()),
        Attribute::Label(label.into()),
    ];
    session.find(&template, 64)
}

/// The value of a data object; empty where it has none.
pub(crate) fn data_value(session: &Session, handle: ObjectHandle) -> Result<Vec<u8>, TokenError> {
    match session.read(handle, &[AttributeType::Value])?.pop() {
        Some(Attribute::Value(value)) => Ok(value),
        _ => Ok(Vec::new()),
    }
}

/// Every record of this program with this label.
pub(crate) fn find_labelled(session: &Session, label: &str) -> Result<Vec<StoredRecord>, TokenError> {
    let read = |handle| {
        let record = WrappedKey::parse(&data_value(session, handle)?);
        Ok(StoredRecord { handle, record })
    };
    find_data(session, label)?.into_iter().map(read).collect()
}

/// Every object of the token: data objects are read whole, of others only class and label.
pub(crate) fn scan(session: &Session, mut each: impl FnMut(ObjectKind)) -> Result<(), TokenError> {
    let data = session.find(&[Attribute::Class(ObjectClass::DATA)], OBJECTS_MAX)?;
    for handle in &data {
        each(data_object(session, *handle)?);
    }
    let data: HashSet<_> = data.iter().map(ObjectHandle::handle).collect();
    let all = session.find(&[], OBJECTS_MAX)?;
    for handle in all.into_iter().filter(|handle| !data.contains(&handle.handle())) {
        each(other_object(session, handle)?);
    }
    Ok(())
}

fn data_object(session: &Session, handle: ObjectHandle) -> Result<ObjectKind, TokenError> {
    let kinds = [AttributeType::Label, AttributeType::Application, AttributeType::Value];
    let Some(attributes) = unless_incomplete(session.read(handle, &kinds))? else {
        return Ok(ObjectKind::Incomplete);
    };
    let (mut label, mut application, mut value) = (Vec::new(), Vec::new(), Vec::new());
    for attribute in attributes {
        if let Attribute::Label(bytes) = attribute {
            label = bytes;
        } else if let Attribute::Application(bytes) = attribute {
            application = bytes;
        } else if let Attribute::Value(bytes) = attribute {
            value = bytes;
        }
    }
    if application.is_empty() && (label.is_empty() || value.is_empty()) {
        return Ok(ObjectKind::Incomplete);
    }
    if application != APPLICATION.as_bytes() {
        return Ok(ObjectKind::Foreign);
    }
    let internal = [CANARY_LABEL, ANCHOR_LABEL, STORE_KEY_LABEL, CHECKPOINT_SEED_LABEL];
    if internal.iter().any(|own| label == own.as_bytes()) {
        return Ok(ObjectKind::Internal);
    }
    let id = std::str::from_utf8(&label).ok().and_then(|label| label.strip_prefix(KEY_PREFIX));
    Ok(match id.and_then(|id| id.parse().ok()) {
        Some(id) => ObjectKind::Key(id, Box::new(WrappedKey::parse(&value))),
        None => ObjectKind::Incomplete,
    })
}

fn other_object(session: &Session, handle: ObjectHandle) -> Result<ObjectKind, TokenError> {
    let attributes = match session.read(handle, &[AttributeType::Class, AttributeType::Label]) {
        // A class that the standard does not name.
        Err(TokenError { cause: Cause::ProtocolViolation(_), .. }) => return Ok(ObjectKind::Foreign),
        read => unless_incomplete(read)?,
    };
    let Some([Attribute::Class(class), rest @ ..]) = attributes.as_deref() else {
        return Ok(ObjectKind::Incomplete);
    };
    let own = match *class {
        ObjectClass::SECRET_KEY => KEK_LABEL,
        ObjectClass::PRIVATE_KEY | ObjectClass::PUBLIC_KEY => CHECKPOINT_KEY_LABEL,
        _ => return Ok(ObjectKind::Foreign),
    };
    let labelled = matches!(rest, [Attribute::Label(label)] if label == own.as_bytes());
    Ok(if labelled { ObjectKind::Internal } else { ObjectKind::Foreign })
}

/// None for an object whose file was cut before its class was written: SoftHSM then answers ATTRIBUTE_VALUE_INVALID.
fn unless_incomplete(read: Result<Vec<Attribute>, TokenError>) -> Result<Option<Vec<Attribute>>, TokenError> {
    match read {
        Err(error) if error.code() == Some(RvError::AttributeValueInvalid) => Ok(None),
        read => read.map(Some),
    }
}
