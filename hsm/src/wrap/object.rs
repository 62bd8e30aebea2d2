//! Data objects of the token: how it takes them, search, and telling sound ones from the rest. Nothing is deleted on
//! suspicion.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use cryptoki::error::RvError;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};

use super::stored::key_of;
use crate::labels::{APPLICATION, CHECKPOINT_KEY_LABEL, INTERNAL, KEK_LABEL, Naming, PROBE_LABEL};
use crate::pkcs11::{Cause, Function, Session, TokenError};
use crate::records::{Found, RECORD_MAX, Records, RecordsError};

/// More objects than any token of ours holds; a module that never stops listing is stopped here.
const OBJECTS_MAX: usize = 1_000_000;

/// What a data object is asked to be, in the order in which the token is asked.
///
/// A private object that cannot be modified is the best: reading or replacing it takes the PIN. The record is
/// ciphertext and authenticates itself, so a public one does. YubiHSM 2 knows no CKA_MODIFIABLE.
const TEMPLATES: [&[Attribute]; 3] =
    [&[Attribute::Private(true), Attribute::Modifiable(false)], &[Attribute::Private(true)], &[]];

/// The first of [`TEMPLATES`] that the token has not refused.
#[derive(Debug, Default)]
pub(crate) struct Template(AtomicUsize);

impl Template {
    /// Creates a data object of this program. Only a refusal of the template leads to the next one.
    pub(crate) fn create(
        &self,
        session: &Session,
        label: &str,
        value: &[u8],
    ) -> Result<ObjectHandle, TokenError> {
        let mut made = None;
        for (at, rights) in TEMPLATES.iter().enumerate().skip(self.0.load(Ordering::Relaxed)) {
            let named = [
                Attribute::Class(ObjectClass::DATA),
                Attribute::Token(true),
                Attribute::Label(label.into()),
                Attribute::Application(APPLICATION.into()),
                Attribute::Value(value.into()),
            ];
            match session.create(&[&named[..], rights].concat()) {
                Ok(object) => {
                    self.0.store(at, Ordering::Relaxed);
                    return Ok(object);
                }
                // The last refusal says least: the first is of the template that was wanted.
                Err(error) if error.refuses_template() => made = made.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        let nothing_tried = TokenError::protocol_violation(Function::CreateObject, "no template was tried");
        Err(made.unwrap_or(nothing_tried))
    }

    /// Whether the token takes data objects: one is made, read back and destroyed.
    pub(crate) fn probe(&self, session: &Session) -> Result<(), TokenError> {
        let value = [0x5a; RECORD_MAX];
        // What a killed process left.
        destroy(session, find_data(session, PROBE_LABEL)?)?;
        self.create(session, PROBE_LABEL, &value)?;
        let made = find_data(session, PROBE_LABEL)?;
        let same = match made[..] {
            [object] => data_value(session, object)? == value,
            _ => false,
        };
        destroy(session, made)?;
        if same {
            return Ok(());
        }
        Err(TokenError::protocol_violation(
            Function::CreateObject,
            "the data object is not there once and whole",
        ))
    }
}

/// The records of a token.
pub(crate) struct TokenRecords<'a> {
    pub(crate) session: &'a Session,
    pub(crate) template: &'a Template,
    pub(crate) naming: Naming,
}

impl Records for TokenRecords<'_> {
    fn find(&self, label: &str) -> Result<Vec<Vec<u8>>, RecordsError> {
        let found = find_data(self.session, &self.naming.label(label))?.into_iter();
        Ok(found.map(|object| data_value(self.session, object)).collect::<Result<_, _>>()?)
    }

    fn scan(&self, each: &mut dyn FnMut(Found<'_>)) -> Result<(), RecordsError> {
        Ok(scan(self.session, each)?)
    }

    fn insert(&self, label: &str, value: &[u8]) -> Result<(), RecordsError> {
        self.template.create(self.session, &self.naming.label(label), value)?;
        Ok(())
    }

    fn remove_value(&self, label: &str, value: &[u8]) -> Result<(), RecordsError> {
        for object in find_data(self.session, &self.naming.label(label))? {
            if data_value(self.session, object)? == value {
                self.session.destroy(object)?;
            }
        }
        Ok(())
    }
}

/// Handles of this program's data objects with this label. None where the token has no data objects to be asked for.
pub(crate) fn find_data(session: &Session, label: &str) -> Result<Vec<ObjectHandle>, TokenError> {
    let template = [
        Attribute::Class(ObjectClass::DATA),
        Attribute::Application(APPLICATION.into()),
        Attribute::Label(label.into()),
    ];
    match session.find(&template, 64) {
        Err(error) if error.refuses_template() => Ok(Vec::new()),
        found => found,
    }
}

/// The value of a data object; empty where it has none.
pub(crate) fn data_value(session: &Session, handle: ObjectHandle) -> Result<Vec<u8>, TokenError> {
    match session.read(handle, &[AttributeType::Value])?.pop() {
        Some(Attribute::Value(value)) => Ok(value),
        _ => Ok(Vec::new()),
    }
}

/// Destroys objects.
pub(crate) fn destroy(session: &Session, objects: Vec<ObjectHandle>) -> Result<(), TokenError> {
    objects.into_iter().try_for_each(|object| session.destroy(object))
}

/// Every object of the token: data objects are read whole, of others only class and label.
fn scan(session: &Session, each: &mut dyn FnMut(Found<'_>)) -> Result<(), TokenError> {
    let data = session.find(&[Attribute::Class(ObjectClass::DATA)], OBJECTS_MAX)?;
    for handle in &data {
        data_object(session, *handle, each)?;
    }
    let data: HashSet<_> = data.iter().map(ObjectHandle::handle).collect();
    let all = session.find(&[], OBJECTS_MAX)?;
    for handle in all.into_iter().filter(|handle| !data.contains(&handle.handle())) {
        other_object(session, handle)?.into_iter().for_each(&mut *each);
    }
    Ok(())
}

fn data_object(
    session: &Session,
    handle: ObjectHandle,
    each: &mut dyn FnMut(Found<'_>),
) -> Result<(), TokenError> {
    let kinds = [AttributeType::Label, AttributeType::Application, AttributeType::Value];
    let [label, application, _] = kinds;
    let is_violation =
        |read: &Result<_, TokenError>| matches!(read, Err(error) if error.is_protocol_violation());
    let whole = session.read(handle, &kinds);
    // Another application's may be longer than any of ours, and a module may give an impossible length.
    let is_cut = is_violation(&whole);
    let read = if is_cut { session.read(handle, &[label, application]) } else { whole };
    if is_violation(&read) {
        each(Found::Foreign);
        return Ok(());
    }
    let Some(attributes) = unless_incomplete(read)? else {
        each(Found::Incomplete);
        return Ok(());
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
    let text = std::str::from_utf8(&label).unwrap_or_default();
    // YubiHSM 2 shows one application for all objects: there the label alone tells.
    let own = application == APPLICATION.as_bytes() || INTERNAL.contains(&text) || key_of(text).is_some();
    each(match own {
        true => Found::Value { label: text, value: &value },
        false if !is_cut && application.is_empty() && (label.is_empty() || value.is_empty()) => {
            Found::Incomplete
        }
        false => Found::Foreign,
    });
    Ok(())
}

/// None for a key of this program.
fn other_object(session: &Session, handle: ObjectHandle) -> Result<Option<Found<'static>>, TokenError> {
    let attributes = match session.read(handle, &[AttributeType::Class, AttributeType::Label]) {
        // A class that the standard does not name.
        Err(TokenError { cause: Cause::ProtocolViolation(_), .. }) => return Ok(Some(Found::Foreign)),
        read => unless_incomplete(read)?,
    };
    let Some([Attribute::Class(class), rest @ ..]) = attributes.as_deref() else {
        return Ok(Some(Found::Incomplete));
    };
    let own = match *class {
        ObjectClass::SECRET_KEY => &[KEK_LABEL][..],
        ObjectClass::PRIVATE_KEY | ObjectClass::PUBLIC_KEY => &[CHECKPOINT_KEY_LABEL, KEK_LABEL],
        _ => return Ok(Some(Found::Foreign)),
    };
    let is_own = |label: &[u8]| own.iter().any(|own| label == own.as_bytes());
    let labelled = matches!(rest, [Attribute::Label(label)] if is_own(label));
    Ok((!labelled).then_some(Found::Foreign))
}

/// None for an object whose file was cut before its class was written: SoftHSM then answers ATTRIBUTE_VALUE_INVALID.
fn unless_incomplete(read: Result<Vec<Attribute>, TokenError>) -> Result<Option<Vec<Attribute>>, TokenError> {
    match read {
        Err(error) if error.code() == Some(RvError::AttributeValueInvalid) => Ok(None),
        read => read.map(Some),
    }
}
