//! Why a record was not made durable, and why a log was not opened.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;
use trusted_files::FileError;

use crate::format::corruption::Corruption;
use crate::format::log_id::LogId;
use crate::format::segment::FORMAT;

/// Why a record was not made durable. In every case nothing may be signed.
#[derive(Clone, Debug, Error)]
pub enum AuditError {
    /// The log cannot be written at present; the cause says why.
    #[error("the audit log cannot be written: {cause}")]
    Unavailable {
        /// For the operator, e.g. the error of the disk.
        cause: Arc<str>,
    },
    /// The queue is full.
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
    /// `create` found a file.
    #[error("{} is not empty: it has an audit log or other files", .path.display())]
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
    /// One directory has segments of different logs.
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
        /// The record, and what is wrong.
        fault: Corruption,
    },
    /// Another version of the program wrote it.
    #[error(
        "the audit log in {} was written by avs-kms 0.1, in format {found}; this version reads format {FORMAT} only",
        .path.display()
    )]
    Format {
        /// The directory.
        path: PathBuf,
        /// The format of its first segment.
        found: u32,
    },
    /// Another user can change what is in the directory.
    #[error("the audit directory is not safe")]
    Untrusted(#[from] FileError),
    /// A setting is out of range.
    #[error("audit setting {setting}: {reason}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// The reason.
        reason: &'static str,
    },
    /// A system call failed.
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
