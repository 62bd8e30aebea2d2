//! Settings of the log.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of the log.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its directory, for the log alone.
    pub directory: PathBuf,
    /// The size of a segment, bytes: a multiple of 4096, at least 64 KiB. Written with zeros before
    /// it is used.
    pub segment_bytes: u64,
    /// Begin a new segment with each day (UTC).
    pub daily: bool,
    /// Longest wait of [`record`](crate::AuditLog::record) for the disk.
    pub wait: Duration,
    /// Most records that may wait for the writer; more are refused.
    pub queue: usize,
    /// Refusals of unauthenticated clients per second that get a record each; the others are
    /// counted in one record.
    pub refusals_per_second: u32,
}

impl Settings {
    /// The default settings for a directory: segments of 64 MiB, five seconds for the disk.
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
