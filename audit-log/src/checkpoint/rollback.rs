//! Rollback detection: whether the log still contains the head of every checkpoint that was kept of
//! it.
//!
//! Checkpoints are kept in the directory of the log and where the owner of this disk cannot reach
//! (`PublisherSettings::anchors`). If the log lacks one, the service does not start until an
//! operator names that head and accepts the loss. Not for: who may accept (`service`).

use std::fmt;

use sha2::{Digest, Sha256};
use signed_note::Note;
use tlog_tiles::Checkpoint;

use crate::checkpoint::statement::key_change::TrustedKeys;
use crate::format::corruption::{CorruptionKind, ReadError};
use crate::format::head::Head;
use crate::format::known_head::KnownHead;
use crate::read::cursor::root_at;
use crate::read::source::Source;

/// A checkpoint that was kept.
pub(crate) struct KnownCheckpoint {
    /// The place, for people.
    pub(crate) kept_in: String,
    pub(crate) note: Vec<u8>,
}

/// A kept checkpoint whose head the log does not contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollbackDetected {
    /// The place where the checkpoint was kept.
    pub kept_in: String,
    /// What is given up if the log is used nevertheless.
    pub known: KnownHead,
    cause: RollbackCause,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum RollbackCause {
    /// The log has `records` records, and they do not contain the head.
    Missing { kind: CorruptionKind, records: u64 },
    /// Signed with another key, under that origin.
    OtherKey { origin: String },
    /// Not a checkpoint.
    Unreadable,
    /// There is no checkpoint at all.
    NothingKept { records: u64 },
    /// The token has none, although it got one when the log was created.
    NoAnchor { records: u64 },
}

impl RollbackDetected {
    /// Nothing vouches for the log of this head: a forger deletes what would contradict. The value to
    /// accept is the same at each start, although each start adds a record.
    pub(crate) fn nothing_kept(head: &Head) -> Self {
        let what = format!("no checkpoint of {}", head.log);
        Self::absent("no place", &what, RollbackCause::NothingKept { records: head.size })
    }

    /// The token has lost its checkpoint: an older one may have been put back beside an older log.
    pub(crate) fn no_anchor(head: &Head) -> Self {
        let what = format!("no checkpoint of {} in the token", head.log);
        Self::absent("the token", &what, RollbackCause::NoAnchor { records: head.size })
    }

    /// The hash of what is missing stands for a root.
    fn absent(kept_in: &str, what: &str, cause: RollbackCause) -> Self {
        let root = Sha256::digest(what).into();
        Self { kept_in: kept_in.to_owned(), known: KnownHead { size: 0, root }, cause }
    }
}

impl fmt::Display for RollbackDetected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kept_in, known: KnownHead { size, .. }, cause } = self;
        match cause {
            RollbackCause::Missing { kind, records } => write!(
                f,
                "the audit log was rolled back or replaced: {kept_in} has a checkpoint of {size} records, and of the \
                 {records} records here {kind}"
            ),
            RollbackCause::OtherKey { origin } => write!(
                f,
                "the audit log or its key was replaced: {kept_in} has a checkpoint of {size} records of {origin}, which \
                 this token's key for this log did not sign"
            ),
            RollbackCause::NothingKept { records } => write!(
                f,
                "nothing vouches for the {records} records of the audit log: neither its directory, nor a copy, nor \
                 the token has a checkpoint of it. It may have been rewritten"
            ),
            RollbackCause::NoAnchor { records } => write!(
                f,
                "the token holds no checkpoint of the audit log, although init stored one there: the {records} records \
                 here may be an older copy of the log, with its own older checkpoint"
            ),
            RollbackCause::Unreadable => {
                write!(f, "{kept_in} has something that is not a checkpoint of an audit log")
            }
        }
    }
}

/// The kept checkpoints whose heads the log of `head` does not contain.
pub(crate) fn detect(
    source: &Source,
    head: &Head,
    keys: &TrustedKeys,
    kept: &[KnownCheckpoint],
) -> Result<Vec<RollbackDetected>, ReadError> {
    let mut detected = Vec::new();
    for KnownCheckpoint { kept_in, note } in kept {
        let kept_in = kept_in.clone();
        let (known, cause) = match keys.open(note) {
            Ok(checkpoint) => {
                let known = KnownHead { size: checkpoint.size(), root: checkpoint.root() };
                let missing = |kind| RollbackCause::Missing { kind, records: head.size };
                (known, compare(source, head, known)?.map(missing))
            }
            Err(_) => match unsigned(note) {
                Some((origin, known)) => (known, Some(RollbackCause::OtherKey { origin })),
                None => {
                    let known = KnownHead { size: 0, root: Sha256::digest(note).into() };
                    (known, Some(RollbackCause::Unreadable))
                }
            },
        };
        detected.extend(cause.map(|cause| RollbackDetected { kept_in, known, cause }));
    }
    Ok(detected)
}

fn compare(source: &Source, head: &Head, known: KnownHead) -> Result<Option<CorruptionKind>, ReadError> {
    if known.size > head.size {
        return Ok(Some(CorruptionKind::Truncated { expected: known.size }));
    }
    // A head in a segment that is not here counts as missing: an attacker would leave that segment
    // out.
    Ok(match root_at(source, known.size)? {
        Some(root) => (root != known.root).then_some(CorruptionKind::Forked),
        None => Some(CorruptionKind::Absent),
    })
}

/// Origin and head of a checkpoint whose signature is not checked.
pub(crate) fn unsigned(note: &[u8]) -> Option<(String, KnownHead)> {
    let note = Note::from_bytes(note).ok()?;
    let checkpoint = Checkpoint::from_bytes(note.text()).ok()?;
    Some((checkpoint.origin().to_owned(), KnownHead { size: checkpoint.size(), root: checkpoint.hash().0 }))
}
