//! What waits in the queue.

use tokio::sync::oneshot;

use crate::error::AuditError;
use crate::format::head::Receipt;
use crate::format::time::RecordTime;

/// Answers the one who waits for a durable note.
pub(crate) type NoteAck = oneshot::Sender<Result<Receipt, AuditError>>;
/// Is called with the receipt of a durable intent, or with the reason why there is none.
pub(crate) type IntentAck = Box<dyn FnOnce(Result<Receipt, AuditError>) + Send>;

/// What a record is to the log, and who waits for it.
pub(crate) enum AckKind {
    /// Opens an operation.
    Intent { ack: IntentAck },
    /// Ends the operation of that intent.
    Outcome { of: u64, ack: Option<NoteAck> },
    /// Stands alone.
    Note { ack: Option<NoteAck> },
}

impl AckKind {
    /// Whether somebody waits for it.
    pub(super) const fn is_urgent(&self) -> bool {
        match self {
            Self::Intent { .. } => true,
            Self::Outcome { ack, .. } | Self::Note { ack } => ack.is_some(),
        }
    }
}

/// A record that waits for its place.
pub(crate) struct QueuedRecord {
    pub(crate) body: Vec<u8>,
    pub(crate) time: RecordTime,
    pub(crate) ack: AckKind,
}

/// How many of them open an operation.
pub(super) fn intents(entries: &[QueuedRecord]) -> usize {
    entries.iter().filter(|entry| matches!(entry.ack, AckKind::Intent { .. })).count()
}

/// What the writer finds.
pub(crate) enum Batch {
    /// Records to write, in order; never empty.
    Records(Vec<QueuedRecord>),
    /// Nothing came in time.
    Idle,
    /// Closed and empty.
    Closed,
}

/// Tells whoever waits for a note, if anybody does.
pub(super) fn refuse(ack: &mut Option<NoteAck>, error: &AuditError) {
    if let Some(ack) = ack.take() {
        let _ = ack.send(Err(error.clone()));
    }
}
