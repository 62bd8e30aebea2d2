//! What the owner of the PIN does to the token by other software, while no enclave is open.

use cryptoki::object::{Attribute, ObjectClass};

use super::support::Fixture;
use crate::arena::SecretMemoryPolicy;
use crate::key::KeyId;
use crate::labels::{CANARY_LABEL, Naming};
use crate::pkcs11::{Module, Session};
use crate::records::Records;
use crate::settings::Settings;
use crate::token::connection::{LoggedInToken, finalise};
use crate::token::login::Credential;
use crate::wrap::{self, EntryKind, Template, TokenRecords, WrappedKey};

/// Does something to the token while no enclave is open.
pub(super) fn meddle<R>(fixture: &Fixture, with: impl FnOnce(&Session) -> R) -> R {
    meddle_with_sessions(fixture, |open_session| with(&open_session()))
}

/// As [`meddle`], with any number of sessions.
pub(super) fn meddle_with_sessions<R>(fixture: &Fixture, with: impl FnOnce(&dyn Fn() -> Session) -> R) -> R {
    meddle_by(&fixture.settings(), with)
}

pub(super) fn meddle_by<R>(settings: &Settings, with: impl FnOnce(&dyn Fn() -> Session) -> R) -> R {
    let module = Module::load(&settings.module, None).unwrap();
    let credential = Credential::read(settings, SecretMemoryPolicy::PreferSecret).unwrap();
    let login = LoggedInToken::new(&module, &settings.token, None, &credential).unwrap();
    let result = with(&|| login.session().unwrap());
    finalise(&module);
    result
}

/// Does something with the records of the token.
pub(super) fn with_records<R>(session: &Session, with: impl FnOnce(&dyn Records) -> R) -> R {
    with(&TokenRecords { session, template: &Template::default(), naming: Naming::Installation })
}

/// Every record of a key, which must all be sound.
pub(super) fn each_record(session: &Session, mut each: impl FnMut(&WrappedKey)) {
    with_records(session, |records| {
        let entries = wrap::scan(records, |entry| {
            if let EntryKind::Key(_, record) = entry {
                each(record.as_ref().as_ref().unwrap());
            }
        });
        entries.unwrap();
    });
}

/// Replaces the value of a key's record.
pub(super) fn replace(session: &Session, id: KeyId, value: &[u8]) {
    with_records(session, |records| records.remove(&wrap::key_label(id)).unwrap());
    put(session, &wrap::key_label(id), "avs-kms/1", value);
}

pub(super) fn put(session: &Session, label: &str, application: &str, value: &[u8]) {
    let template = [
        Attribute::Class(ObjectClass::DATA),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Label(label.into()),
        Attribute::Application(application.into()),
        Attribute::Value(value.into()),
    ];
    session.create(&template).unwrap();
}

pub(super) fn record(session: &Session, id: KeyId) -> WrappedKey {
    let mut found =
        with_records(session, |records| wrap::find_labelled(records, &wrap::key_label(id)).unwrap());
    assert_eq!(found.len(), 1);
    found.pop().unwrap().unwrap()
}

/// Takes the canary record out of the token.
pub(super) fn take_canary(session: &Session) -> Vec<u8> {
    with_records(session, |records| {
        let mut found = records.find(CANARY_LABEL).unwrap();
        records.remove(CANARY_LABEL).unwrap();
        found.pop().unwrap()
    })
}

/// Length of the header of a record whose key has the name `default`.
pub(super) const HEADER_LEN: usize = 277;

pub(super) fn rehashed(mut bytes: Vec<u8>) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    let body = bytes.len() - 32;
    let hash = Sha256::digest(&bytes[..body]);
    bytes[body..].copy_from_slice(&hash);
    bytes
}
