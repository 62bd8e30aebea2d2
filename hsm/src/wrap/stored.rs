//! Wrapped records in their place: labels, reading and storing. Not for the place (`crate::records`).

use super::record::{RecordError, WrappedKey};
use crate::key::KeyId;
use crate::labels::{INTERNAL, KEY_PREFIX};
use crate::records::{Found, Records, RecordsError};

/// What one entry of a place is.
pub(crate) enum EntryKind {
    /// Labelled as a key's record.
    Key(KeyId, Box<Result<WrappedKey, RecordError>>),
    /// The canary record, the store key, the sealed checkpoint key or the anchor.
    Internal,
    /// Left by an interrupted creation, or under no label of this program.
    Incomplete,
    /// Another application's.
    Foreign,
}

/// Label of a key's record.
pub(crate) fn key_label(id: KeyId) -> String {
    format!("{KEY_PREFIX}{id}")
}

/// The key whose record has this label.
pub(super) fn key_of(label: &str) -> Option<KeyId> {
    label.strip_prefix(KEY_PREFIX)?.parse().ok()
}

/// Stores a record.
pub(crate) fn store(records: &dyn Records, label: &str, record: &WrappedKey) -> Result<(), RecordsError> {
    records.insert(label, record.encoded())
}

/// Every record with this label.
pub(crate) fn find_labelled(
    records: &dyn Records,
    label: &str,
) -> Result<Vec<Result<WrappedKey, RecordError>>, RecordsError> {
    Ok(records.find(label)?.iter().map(|value| WrappedKey::parse(value)).collect())
}

/// Every entry of the place.
pub(crate) fn scan(records: &dyn Records, mut each: impl FnMut(EntryKind)) -> Result<(), RecordsError> {
    records.scan(&mut |found| {
        each(match found {
            Found::Value { label, .. } if INTERNAL.contains(&label) => EntryKind::Internal,
            Found::Value { label, value } => match key_of(label) {
                Some(id) => EntryKind::Key(id, Box::new(WrappedKey::parse(value))),
                None => EntryKind::Incomplete,
            },
            Found::Incomplete => EntryKind::Incomplete,
            Found::Foreign => EntryKind::Foreign,
        });
    })
}
