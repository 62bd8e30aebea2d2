//! The checkpoints that a log is verified against: where each was found, and what its signature is
//! worth.

use std::path::Path;

use serde_json::{Value, json};

use super::files::{VerifyError, read, read_own};
use crate::checkpoint::rollback::unsigned;
use crate::checkpoint::signed::CheckpointError;
use crate::checkpoint::statement::key_change::TrustedKeys;
use crate::format::known_head::KnownHead;

/// Where a checkpoint was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Beside the log: the newest.
    Log,
    /// Beside one of its segments.
    Segment,
    /// In a configured copy.
    Copy(String),
    /// Named by the caller, for comparison.
    Given(String),
}

/// One checkpoint.
#[derive(Clone, Debug)]
pub(super) struct KeptCheckpoint {
    pub(super) place: Place,
    pub(super) head: KnownHead,
}

impl KeptCheckpoint {
    /// Reads a checkpoint; without a key its signature is not checked. A signed note, or the answer of
    /// `GET /v1/audit/checkpoint` with one in it.
    pub(super) fn read(place: Place, file: &Path, keys: &TrustedKeys) -> Result<Self, VerifyError> {
        let text = match place {
            Place::Given(_) => read(file)?,
            Place::Log | Place::Segment | Place::Copy(_) => read_own(file)?,
        };
        let note = serde_json::from_str::<Value>(&text)
            .ok()
            .and_then(|value| value.get("checkpoint").and_then(Value::as_str).map(str::to_owned))
            .unwrap_or(text);
        let head = if keys.is_empty() {
            unsigned(note.as_bytes()).map(|(_, head)| head).ok_or(CheckpointError::Form)
        } else {
            keys.open(note.as_bytes()).map(|one| one.known_head())
        };
        let head = head.map_err(|error| VerifyError::new("cannot use", file)(error.into()))?;
        Ok(Self { place, head })
    }

    pub(super) fn json(&self, is_checked: bool) -> Value {
        let (place, file) = match &self.place {
            Place::Log => ("log", None),
            Place::Segment => ("segment", None),
            Place::Copy(file) => ("copy", Some(file)),
            Place::Given(file) => ("given", Some(file)),
        };
        json!({"kept_in": place, "file": file, "size": self.head.size, "signature_checked": is_checked})
    }
}

/// What was compared, in words: `the checkpoint beside the log (5 records), 2 of segments, …`.
pub(super) fn describe(compared: &[KeptCheckpoint]) -> String {
    let of_segments = compared.iter().filter(|one| one.place == Place::Segment).count();
    let named = compared.iter().filter_map(|one| {
        let size = one.head.size;
        match &one.place {
            Place::Log => Some(format!("the one beside the log ({size} records)")),
            Place::Copy(file) => Some(format!("the copy {file} ({size} records)")),
            Place::Given(file) => Some(format!("{file} ({size} records)")),
            Place::Segment => None,
        }
    });
    let segments = (of_segments > 0).then(|| format!("{of_segments} of segments"));
    named.chain(segments).collect::<Vec<_>>().join(", ")
}
