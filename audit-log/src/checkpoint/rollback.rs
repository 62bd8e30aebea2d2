//! Whether the log still has the past that earlier checkpoints say: the one in its directory, and those that were kept
//! where the owner of this disk cannot reach (`Publishing::anchors`).
//!
//! A past that is gone stops the start until an operator names it and accepts that. Not for: who may accept.

use std::fmt;

use sha2::{Digest, Sha256};
use signed_note::Note;
use tlog_tiles::Checkpoint;

use crate::checkpoint::key::VerifierKey;
use crate::format::corruption::{Damage, ReadError};
use crate::format::head::Head;
use crate::format::merkle::Hash;
use crate::read::cursor::root_at;
use crate::read::source::Source;

/// A checkpoint that somebody kept.
pub(crate) struct Claim {
    /// Where, for people.
    pub(crate) kept: &'static str,
    pub(crate) note: Vec<u8>,
}

/// An earlier checkpoint that the log does not go on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Where the checkpoint was kept.
    pub kept: &'static str,
    /// What is given up when the log goes on all the same.
    pub past: Past,
    why: Why,
}

/// A head that the log had once: its number of records and its root. Shown as `SIZE:ROOT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// How many records.
    pub size: u64,
    /// The RFC 6962 root over them. Of something that is no checkpoint at all: its SHA-256, with size 0.
    pub root: Hash,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Why {
    Damage(Damage, u64),
    OtherKey(String),
    Unreadable,
}

impl fmt::Display for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.size, hex::encode(self.root))
    }
}

/// The text is no `SIZE:ROOT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a past is SIZE:ROOT, as the refusal says it: a number and 64 hex digits")]
pub struct PastError;

impl std::str::FromStr for Past {
    type Err = PastError;

    fn from_str(text: &str) -> Result<Self, PastError> {
        let (size, digits) = text.split_once(':').ok_or(PastError)?;
        let mut root = [0; 32];
        hex::decode_to_slice(digits, &mut root).map_err(|_| PastError)?;
        Ok(Self { size: size.parse().map_err(|_| PastError)?, root })
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kept, past, why } = self;
        let size = past.size;
        match why {
            Why::Damage(damage, has) => write!(
                f,
                "the audit log was rolled back or replaced: {kept} has a checkpoint of {size} records, and of the \
                 {has} records here {damage}"
            ),
            Why::OtherKey(origin) => write!(
                f,
                "the audit log or its key was replaced: {kept} has a checkpoint of {size} records of {origin}, which \
                 this token's key for this log did not sign"
            ),
            Why::Unreadable => write!(f, "{kept} has something that is no checkpoint of an audit log"),
        }
    }
}

/// Those of the claims that the log of `head` does not go on from.
pub(crate) fn lost(
    source: &Source,
    head: &Head,
    key: &VerifierKey,
    claims: &[Claim],
) -> Result<Vec<Lost>, ReadError> {
    let mut lost = Vec::new();
    for Claim { kept, note } in claims {
        let (past, why) = match key.open(note) {
            Ok(checkpoint) => {
                let past = Past { size: checkpoint.size(), root: checkpoint.root() };
                (past, damage(source, head, past)?.map(|damage| Why::Damage(damage, head.size)))
            }
            Err(_) => match unsigned(note) {
                Some((origin, past)) => (past, Some(Why::OtherKey(origin))),
                None => (Past { size: 0, root: Sha256::digest(note).into() }, Some(Why::Unreadable)),
            },
        };
        lost.extend(why.map(|why| Lost { kept, past, why }));
    }
    Ok(lost)
}

fn damage(source: &Source, head: &Head, past: Past) -> Result<Option<Damage>, ReadError> {
    if past.size > head.size {
        return Ok(Some(Damage::Truncated { expected: past.size }));
    }
    // What cannot be looked at is not believed: whoever rolled the disk back would leave it out.
    Ok(match root_at(source, past.size)? {
        Some(root) => (root != past.root).then_some(Damage::Forked),
        None => Some(Damage::Absent),
    })
}

/// What a checkpoint says that another key signed, or nobody.
fn unsigned(note: &[u8]) -> Option<(String, Past)> {
    let note = Note::from_bytes(note).ok()?;
    let checkpoint = Checkpoint::from_bytes(note.text()).ok()?;
    Some((checkpoint.origin().to_owned(), Past { size: checkpoint.size(), root: checkpoint.hash().0 }))
}
