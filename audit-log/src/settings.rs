//! Where the log lies and how it behaves.

use std::path::PathBuf;
use std::time::Duration;

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
