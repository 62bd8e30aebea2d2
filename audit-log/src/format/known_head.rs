//! A head by its number of records and its root, as checkpoints name it and operators type it.

use std::fmt;

use crate::format::merkle::Hash;

/// A head that the log had once: its number of records and its root. Shown as `SIZE:ROOT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownHead {
    /// Number of records.
    pub size: u64,
    /// The RFC 6962 root over them. For something that is no checkpoint at all: its SHA-256, with
    /// size 0.
    pub root: Hash,
}

impl fmt::Display for KnownHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.size, hex::encode(self.root))
    }
}

/// The text is not `SIZE:ROOT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected SIZE:ROOT, for example 1234:<64 hex digits>, as printed by the refusal")]
pub struct ParseHeadError;

impl std::str::FromStr for KnownHead {
    type Err = ParseHeadError;

    fn from_str(text: &str) -> Result<Self, ParseHeadError> {
        let (size, digits) = text.split_once(':').ok_or(ParseHeadError)?;
        let mut root = [0; 32];
        hex::decode_to_slice(digits, &mut root).map_err(|_| ParseHeadError)?;
        Ok(Self { size: size.parse().map_err(|_| ParseHeadError)?, root })
    }
}
