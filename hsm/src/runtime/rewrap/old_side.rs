//! The end of the old side of a move: everything that is worth a key goes, the key-encryption key last, so that its
//! presence says that something may be left. Not for tokens themselves: their administrators erase them.

use super::error::RewrapError;
use super::side::{Side, Sides};
use crate::labels::{CANARY_LABEL, CHECKPOINT_KEY_LABEL, CHECKPOINT_SEED_LABEL, KEK_LABEL, STORE_KEY_LABEL};
use crate::records::Records;
use crate::runtime::initialise::made::keys as keys_of;
use crate::token::anchor;
use crate::token::place::Place;
use crate::wrap::{self, EntryKind, Kek, KekError};

/// Gives how many keys' records were destroyed.
pub(super) fn destroy(
    Sides { old, new, .. }: &Sides,
    progress: &dyn Fn(usize, usize),
) -> Result<usize, RewrapError> {
    let session = old.session()?;
    let prepared = &old.settings.prepared_keys;
    let kek = match Kek::find_labelled(&session, prepared.kek.as_deref()) {
        Ok(kek) => kek,
        // It goes last.
        Err(KekError::Missing { .. }) => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    let one_token = old.is_in_token_of(new);
    if one_token && is_used_by(new, &kek)? {
        let why = "both configurations name one key-encryption key, which is in use: nothing was destroyed";
        return Err(RewrapError::Refused(why.to_owned()));
    }
    let places = Place::all_of(&old.settings, kek.id);
    let mut labels = Vec::new();
    for place in &places {
        wrap::scan(&*place.records(&session), |found| {
            if let EntryKind::Key(id, _) = found {
                labels.push((place, wrap::key_label(id)));
            }
        })?;
    }
    let keys = labels.len();
    for (done, (place, label)) in labels.into_iter().enumerate() {
        place.records(&session).remove(&label)?;
        progress(done + 1, keys);
    }
    for label in [CHECKPOINT_SEED_LABEL, STORE_KEY_LABEL, CANARY_LABEL] {
        places.iter().try_for_each(|place| place.records(&session).remove(label))?;
    }
    if !one_token {
        wrap::destroy(&session, anchor::find(&session)?)?;
    }
    old.sync()?;
    // In one token the new side may have made a pair of that label; then the old one had a sealed seed.
    if prepared.checkpoint_key.is_none()
        && !(one_token && new.settings.prepared_keys.checkpoint_key.is_none())
    {
        wrap::destroy(&session, keys_of(&session, CHECKPOINT_KEY_LABEL, None)?)?;
    }
    if prepared.kek.is_none() {
        wrap::destroy(&session, keys_of(&session, KEK_LABEL, None)?)?;
    }
    old.sync()?;
    Ok(keys)
}

/// Whether this is the key-encryption key of the other side, too.
fn is_used_by(new: &Side, kek: &Kek) -> Result<bool, RewrapError> {
    let label = new.settings.prepared_keys.kek.as_deref();
    Ok(Kek::find_labelled(&new.session()?, label)?.id == kek.id)
}
