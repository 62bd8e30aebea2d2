//! Settings of the publisher: who signs checkpoints, how often, and where they go.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::checkpoint::signed::CheckpointSigner;
use crate::checkpoint::sink::CheckpointSink;
use crate::format::head::Head;
use crate::format::known_head::KnownHead;

/// How checkpoints are made and where they go.
pub struct PublisherSettings {
    /// Signs them.
    pub signer: Arc<dyn CheckpointSigner>,
    /// The log's name in them, a URL without a scheme; `avs-kms/<log id>` by default.
    pub origin: Option<String>,
    /// Interval while there are new records.
    pub every: Duration,
    /// Interval while there are none: a heartbeat.
    pub idle: Duration,
    /// Copies of the newest checkpoint, e.g. on another disk.
    pub files: Vec<PathBuf>,
    /// Every record as a line of JSON, for log shippers.
    pub mirror: Option<PathBuf>,
    /// Checkpoints that were kept outside this disk: the log must still contain their heads.
    pub anchors: Vec<Vec<u8>>,
    /// Heads that the log may lack: an operator accepted the loss, and that is recorded.
    pub accepted: Vec<KnownHead>,
    /// Whether a log of which no checkpoint is kept is refused. False for a log that has just been
    /// created.
    pub requires_checkpoint: bool,
    /// Whether a log without an [anchor](Self::anchors) is refused. False where nothing outside this disk keeps one.
    pub requires_anchor: bool,
    /// Further places that get each new checkpoint: a webhook, the token, the service's log.
    pub sinks: Vec<CheckpointSink>,
    /// How long a sink may be behind until [`AuditLog::stuck_sinks`](crate::AuditLog::stuck_sinks)
    /// names it.
    pub stuck_after: Duration,
}

impl PublisherSettings {
    /// Every second while there are new records, every minute otherwise, into the log's own
    /// directory only.
    pub fn new(signer: Arc<dyn CheckpointSigner>) -> Self {
        Self {
            signer,
            origin: None,
            every: Duration::from_secs(1),
            idle: Duration::from_secs(60),
            files: Vec::new(),
            mirror: None,
            anchors: Vec::new(),
            accepted: Vec::new(),
            requires_checkpoint: true,
            requires_anchor: false,
            sinks: Vec::new(),
            stuck_after: Duration::from_secs(120),
        }
    }
}

impl PublisherSettings {
    pub(super) fn origin(&self, head: &Head) -> String {
        self.origin.clone().unwrap_or_else(|| head.log.origin())
    }
}
