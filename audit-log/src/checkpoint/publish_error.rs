//! Why checkpoints of a log are not published.

use std::path::PathBuf;

use thiserror::Error;

use crate::checkpoint::rollback::RollbackDetected;
use crate::checkpoint::signed::CheckpointError;
use crate::format::corruption::ReadError;

/// Why the publisher does not start.
#[derive(Debug, Error)]
pub enum PublishError {
    /// The log is not the one that an earlier checkpoint was made for: its disk was rolled back, or
    /// it was forked.
    #[error("{0}")]
    RolledBack(RollbackDetected),
    /// The token, or the earlier checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The disk.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The disk, mostly full.
    #[error("cannot write {}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// This key signed the log's checkpoints until another followed it.
    #[error(
        "this installation was moved: its checkpoints are signed by the key {new} now. Start with the configuration of \
         the token that it was moved to"
    )]
    KeyReplaced {
        /// The key that followed.
        new: String,
    },
    /// A thread.
    #[error("cannot start a thread of the publisher")]
    Thread(#[source] std::io::Error),
    /// It is running.
    #[error("checkpoints of this log are published already")]
    Already,
}
