//! Records in the queue.

use tokio::sync::oneshot;

use crate::error::AuditError;
use crate::format::head::Receipt;
use crate::format::time::RecordTime;

/// Answers the waiter for a durable note.
pub(crate) type NoteAck = oneshot::Sender<Result<Receipt, AuditError>>;
/// Is called with the receipt of a durable intent, or with the reason why there is none.
pub(crate) type IntentAck = Box<dyn FnOnce(Result<Receipt, AuditError>) + Send>;

/// The part of a record in an operation, and how it is acknowledged.
pub(crate) enum AckKind {
    /// Opens an operation.
    Intent { ack: IntentAck, lane: Lane },
    /// Ends the operation of that intent.
    Outcome { of: u64, ack: Option<NoteAck>, lane: Lane },
    /// Neither.
    Note { ack: Option<NoteAck> },
}

/// Which places in the queue and in the segment an operation may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// The ordinary ones.
    Ordinary,
    /// Also those that are kept for what only takes away: when the queue is full, and when there is no disk space for
    /// the next segment.
    Reserved,
}

impl AckKind {
    pub(crate) const fn lane(&self) -> Lane {
        match self {
            Self::Intent { lane, .. } | Self::Outcome { lane, .. } => *lane,
            Self::Note { .. } => Lane::Ordinary,
        }
    }

    /// Whether a task waits for it.
    pub(super) const fn is_urgent(&self) -> bool {
        match self {
            Self::Intent { .. } => true,
            Self::Outcome { ack, .. } | Self::Note { ack } => ack.is_some(),
        }
    }
}

/// A record that waits for its number.
pub(crate) struct QueuedRecord {
    pub(crate) body: Vec<u8>,
    pub(crate) time: RecordTime,
    pub(crate) ack: AckKind,
}

/// Number of intents among them.
pub(super) fn intents(entries: &[QueuedRecord]) -> usize {
    entries.iter().filter(|entry| matches!(entry.ack, AckKind::Intent { .. })).count()
}

/// What the writer takes from the queue.
pub(crate) enum Batch {
    /// Records to write, in order; never empty.
    Records(Vec<QueuedRecord>),
    /// Nothing came in time.
    Idle,
    /// Closed and empty.
    Closed,
}

/// Answers the waiter for a note with an error, if there is one.
pub(super) fn refuse(ack: &mut Option<NoteAck>, error: &AuditError) {
    if let Some(ack) = ack.take() {
        let _ = ack.send(Err(error.clone()));
    }
}
