//! What can be wrong with a PIN file. A leaf.

use std::io;

/// What is wrong with a PIN file.
#[derive(Debug, thiserror::Error)]
pub enum PinFileProblem {
    /// Nothing in it.
    #[error("it is empty")]
    Empty,
    /// Longer than any PIN, or more than one line.
    #[error("it holds more than one line of 255 bytes")]
    TooLong,
    /// It is missing, no regular file, or another user can read or change it.
    #[error("{0}")]
    Untrusted(trusted_files::FileError),
    /// It could not be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[source] io::Error),
}
