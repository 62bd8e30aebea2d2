//! The plain values at the door of the log: settings, errors, receipts.
//!
//! Not for: behaviour (`log`, `writer`).

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::fault::Fault;
use super::merkle::Hash;

/// Where the log lies and how it behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its directory; nothing else may lie there.
    pub directory: PathBuf,
    /// The size of a segment, bytes: a multiple of 4096, at least 64 KiB. Written with zeros before it is used.
    pub segment_bytes: u64,
    /// Begin a new segment with each day (UTC).
    pub daily: bool,
    /// How long [`record`](super::AuditLog::record) waits for the disk before it refuses.
    pub wait: Duration,
    /// How many records may wait for the writer; more are refused.
    pub queue: usize,
    /// Refusals of strangers per second that get a record each; the rest is counted in one.
    pub refusals_per_second: u32,
}

impl Settings {
    /// The usual settings for a directory: segments of 64 MiB, five seconds of patience.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            segment_bytes: 64 << 20,
            daily: true,
            wait: Duration::from_secs(5),
            queue: 4096,
            refusals_per_second: 100,
        }
    }
}

/// What the start record says about the program that opened the log.
#[derive(Clone, Debug)]
pub struct BootFacts {
    /// The version of the program.
    pub version: String,
    /// SHA-256 of its effective configuration, secrets left out.
    pub config_digest: [u8; 32],
}

/// The identity of a log: 16 random bytes from its creation, shown as hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogId(pub(crate) [u8; 16]);

impl LogId {
    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The text is not 32 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the id of a log is 32 hex digits")]
pub struct LogIdError;

impl FromStr for LogId {
    type Err = LogIdError;

    fn from_str(text: &str) -> Result<Self, LogIdError> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| LogIdError)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a durable record stands; goes into the answer to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its number in the log, from 0.
    pub seq: u64,
    /// The log.
    pub log: LogId,
    /// SHA-256(0x00 ‖ record).
    pub record_hash: Hash,
}

/// The durable end of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The log.
    pub log: LogId,
    /// How many records it has; the last one's number is one less.
    pub size: u64,
    /// The hash of the last record; zeros in an empty log.
    pub record_hash: Hash,
    /// The RFC 6962 root over all records.
    pub root: Hash,
}

/// An intent of an earlier run that has no outcome: finish or undo it, then settle it.
#[derive(Clone, Debug)]
pub struct Unsettled {
    /// Where the intent stands.
    pub receipt: Receipt,
    /// The operation's name.
    pub operation: String,
    /// The whole record: `key`, `input`, `actor`, `request` as they were written.
    pub record: serde_json::Value,
}

impl Unsettled {
    /// A text member by its path, e.g. `/key/eoa` or `/key/id`.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.record.pointer(pointer)?.as_str()
    }
}

/// Why a record was not made durable. In every case nothing may be signed.
#[derive(Clone, Debug, Error)]
pub enum AuditError {
    /// The log cannot be written at present; the cause says why.
    #[error("the audit log cannot be written: {cause}")]
    Unavailable {
        /// For the operator, e.g. the error of the disk.
        cause: Arc<str>,
    },
    /// More records wait than the queue takes.
    #[error("the audit log's queue is full")]
    Full,
    /// One record would be larger than 4 KiB.
    #[error("the audit record would be larger than 4 KiB")]
    TooLarge,
    /// The log is closed or closing.
    #[error("the audit log is closed")]
    Closed,
}

/// Why a log was not created or opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// `create` found something.
    #[error("{} is not empty: an audit log, or something else, is there already", .path.display())]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// There is no log.
    #[error("there is no audit log in {}", .path.display())]
    Missing {
        /// The directory.
        path: PathBuf,
    },
    /// Another process writes it.
    #[error("another process has the audit log in {} open", .path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// Segments of different logs lie in one directory.
    #[error("{} holds segments of two logs ({first} and {second})", .path.display())]
    Mixed {
        /// The directory.
        path: PathBuf,
        /// The log of the first segment.
        first: LogId,
        /// The log of another one.
        second: LogId,
    },
    /// The log is damaged before its tail; the first bad record is named.
    #[error("the audit log in {} is damaged: {fault}", .path.display())]
    Damaged {
        /// The directory.
        path: PathBuf,
        /// Which record, and what is wrong.
        fault: Fault,
    },
    /// A setting makes no sense.
    #[error("audit setting {setting}: {reason}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// The system refused something.
    #[error("{doing} ({})", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}
