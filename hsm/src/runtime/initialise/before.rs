//! What a token holds before `init` makes anything in it, and whether that lets it. Not for making.

use crate::error::OpenError;
use crate::labels::{ANCHOR_LABEL, CANARY_LABEL, KEK_LABEL, Naming};
use crate::pkcs11::Session;
use crate::records::{Records, RecordsError};
use crate::settings::Settings;
use crate::token::place::Place;
use crate::token::{anchor, canary};
use crate::wrap::{self, EntryKind, Kek, KekError};

/// What is there.
pub(crate) struct Before {
    pub(crate) place: Place,
    /// Of the administrator, or of an `init` that was interrupted.
    pub(crate) kek: Option<Kek>,
    /// Whether the canary record is there, which marks the end of an `init`.
    pub(crate) planted: bool,
}

/// Looks, and refuses a token that is initialised; with `adopt` only one that holds wrapped keys.
pub(crate) fn look(session: &Session, settings: &Settings, adopt: bool) -> Result<Before, OpenError> {
    let prepared = &settings.prepared_keys;
    let place = Place::choose(session, settings)?;
    debug_assert_eq!(place.naming, Naming::Installation);
    let found = match Kek::find_labelled(session, prepared.kek.as_deref()) {
        Ok(kek) => Some(kek),
        Err(KekError::Missing { prepared: false, .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let already = |found: &str| Err(OpenError::AlreadyInitialised { found: found.to_owned() });
    let records = &*place.records(session);
    let planted = canary::exists(records)?;
    if planted && !(adopt && found.is_some()) {
        return already(CANARY_LABEL);
    }
    // The records of another installation may be in its store: its key-encryption key is not taken unasked.
    if !planted && !adopt && found.is_some() && prepared.kek.is_none() && !place.is_token() {
        return already(KEK_LABEL);
    }
    if !planted && !adopt && !anchor::read(session)?.is_empty() {
        return already(ANCHOR_LABEL);
    }
    match keys(records)? {
        0 => {}
        count => return already(&format!("{count} wrapped keys")),
    }
    Ok(Before { place, kek: found, planted })
}

/// How many wrapped keys there are.
pub(crate) fn keys(records: &dyn Records) -> Result<usize, RecordsError> {
    let mut count = 0;
    wrap::scan(records, |entry| count += usize::from(matches!(entry, EntryKind::Key(..))))?;
    Ok(count)
}
