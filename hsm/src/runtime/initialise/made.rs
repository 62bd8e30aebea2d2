//! What one `init` made in a token: found by the ids that it carries, and destroyed. Not for objects without them: those
//! are an administrator's, or of another installation.

use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};

use crate::error::{OpenError, explained};
use crate::key::InitIds;
use crate::labels::{
    ANCHOR_LABEL, CANARY_LABEL, CHECKPOINT_KEY_LABEL, CHECKPOINT_SEED_LABEL, INTERNAL, KEK_LABEL, KEYS,
    Naming, STORE_KEY_LABEL,
};
use crate::pkcs11::{Session, TokenError};
use crate::records::Records;
use crate::settings::Settings;
use crate::token::connection::LoggedInToken;
use crate::token::place::Place;
use crate::wrap::{self, EntryKind, WrappedKey, data_value, find_data};

/// Classes that a key of an installation may have.
const CLASSES: [ObjectClass; 3] =
    [ObjectClass::SECRET_KEY, ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY];
/// The records that name the installation.
const RECORDS: [&str; 3] = [CANARY_LABEL, STORE_KEY_LABEL, CHECKPOINT_SEED_LABEL];
/// More objects of one label than any `init` makes.
const MOST: usize = 64;

/// What becomes of the audit log's anchors, which carry no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchors {
    Keep,
    /// Where anything of this `init` is left: it began in a token without one.
    Destroy,
}

/// Destroys what the `init` with these ids made, and proves that it is gone; gives the number of objects. The
/// key-encryption key goes last: while anything is left, the next `init` finds it.
pub(crate) fn destroy(
    session: &Session,
    settings: &Settings,
    ids: InitIds,
    anchors: Anchors,
) -> Result<usize, OpenError> {
    let found = find(session, ids, anchors)?;
    let count = found.len();
    if count > 0 {
        refuse_keys(session, settings, ids)?;
    }
    wrap::destroy(session, found)?;
    if let Some(outside) = &settings.records {
        remove_outside(&**outside, ids)?;
    }
    let left = find(session, ids, anchors)?.len();
    if left > 0 {
        return Err(OpenError::LeftBehind { count: left });
    }
    Ok(count)
}

/// How many objects of this `init` are there.
pub(crate) fn count(session: &Session, ids: InitIds) -> Result<usize, TokenError> {
    Ok(find(session, ids, Anchors::Destroy)?.len())
}

/// The error of an `init` that failed, once what it made is destroyed; where it cannot be, that is said too.
pub(crate) fn after_failure(
    login: &LoggedInToken,
    settings: &Settings,
    ids: InitIds,
    failed: OpenError,
) -> OpenError {
    let destroyed = login
        .session()
        .map_err(OpenError::from)
        .and_then(|session| destroy(&session, settings, ids, Anchors::Keep));
    match destroyed {
        Ok(count) => {
            tracing::info!(count, "init failed; the objects that it made in the token are destroyed");
            failed
        }
        Err(kept) => OpenError::Unfinished { failed: Box::new(failed), kept: explained(&kept) },
    }
}

/// Destroys what a rehearsal made, this one or one that was killed.
pub(crate) fn remove_rehearsal(session: &Session) -> Result<usize, OpenError> {
    let find = || {
        let mut found = Vec::new();
        for label in INTERNAL {
            found.extend(find_data(session, &Naming::Rehearsal.label(label))?);
        }
        for label in KEYS {
            found.extend(keys(session, &Naming::Rehearsal.label(label), None)?);
        }
        Ok::<_, TokenError>(found)
    };
    let found = find()?;
    let count = found.len();
    wrap::destroy(session, found)?;
    match find()?.len() {
        0 => Ok(count),
        count => Err(OpenError::LeftBehind { count }),
    }
}

/// Every object of this `init`.
fn find(session: &Session, ids: InitIds, anchors: Anchors) -> Result<Vec<ObjectHandle>, TokenError> {
    let mut found = Vec::new();
    for label in RECORDS {
        for object in find_data(session, label)? {
            if is_of(ids, &data_value(session, object)?) {
                found.push(object);
            }
        }
    }
    found.extend(keys(session, CHECKPOINT_KEY_LABEL, Some(ids.pair))?);
    found.extend(keys(session, KEK_LABEL, Some(ids.kek))?);
    if !found.is_empty() && anchors == Anchors::Destroy {
        found.splice(0..0, find_data(session, ANCHOR_LABEL)?);
    }
    Ok(found)
}

/// Keys in the token with this label, and with this `CKA_ID`.
pub(crate) fn keys(
    session: &Session,
    label: &str,
    id: Option<[u8; 16]>,
) -> Result<Vec<ObjectHandle>, TokenError> {
    let mut found = Vec::new();
    for class in CLASSES {
        let mut template =
            vec![Attribute::Class(class), Attribute::Token(true), Attribute::Label(label.into())];
        template.extend(id.map(|id| Attribute::Id(id.into())));
        found.extend(session.find(&template, MOST)?);
    }
    Ok(found)
}

/// No key is made before `init` has ended: where one names this key-encryption key, nothing is destroyed.
fn refuse_keys(session: &Session, settings: &Settings, ids: InitIds) -> Result<(), OpenError> {
    let mut count = 0;
    let mut look = |entry| match entry {
        EntryKind::Key(_, record) => {
            count += usize::from(record.is_ok_and(|record| record.header.kek == ids.kek));
        }
        EntryKind::Internal | EntryKind::Incomplete | EntryKind::Foreign => {}
    };
    let in_token = Place::in_token();
    wrap::scan(&*in_token.records(session), &mut look)?;
    if let Some(outside) = &settings.records {
        wrap::scan(&**outside, &mut look)?;
    }
    match count {
        0 => Ok(()),
        count => Err(OpenError::AlreadyInitialised { found: format!("{count} wrapped keys") }),
    }
}

fn remove_outside(records: &dyn Records, ids: InitIds) -> Result<(), OpenError> {
    for label in RECORDS {
        for value in records.find(label)?.iter().filter(|value| is_of(ids, value)) {
            records.remove_value(label, value)?;
        }
    }
    Ok(())
}

fn is_of(ids: InitIds, value: &[u8]) -> bool {
    WrappedKey::parse(value).is_ok_and(|record| record.header.key == ids.installation)
}
