//! Proof that an intent is durable, [`Recorded`], and the guard that records its outcome,
//! [`OutcomeGuard`].
//!
//! Not for: making a record durable (`write`).

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::error::AuditError;
use crate::format::encode::{intent_body, outcome_body};
use crate::format::head::Receipt;
use crate::format::record::{Intent, Outcome};
use crate::log::AuditLog;
use crate::write::queue::Queue;
use crate::write::queue::entry::{Lane, NoteAck};

/// An operation that can be recorded.
pub trait Recordable {
    /// The content of its intent record.
    fn intent(&self) -> Intent;
}

/// Proof that the intent of this operation is durable. Made by `AuditLog::record` only, never
/// cloned.
#[must_use = "an operation that was recorded must be carried out, or its outcome recorded"]
pub struct Recorded<T> {
    subject: T,
    guard: OutcomeGuard,
}

/// The operation, returned: it was not recorded and must not be carried out.
pub struct NotRecorded<T> {
    /// The operation.
    pub subject: T,
    /// Why it was not recorded.
    pub error: AuditError,
}

/// Records the outcome of an operation. Dropped without one, it records `abandoned`.
#[must_use = "record the outcome of the operation"]
pub struct OutcomeGuard {
    receipt: Receipt,
    queue: Option<Arc<Queue>>,
    lane: Lane,
}

impl AuditLog {
    /// Records the intent of an operation; returns when it is durable, or fails within the
    /// configured time.
    ///
    /// Needs a tokio runtime with time enabled.
    ///
    /// # Errors
    /// Gives the operation back with the reason: nothing may be signed.
    pub async fn record<T: Recordable>(&self, subject: T) -> Result<Recorded<T>, NotRecorded<T>> {
        self.record_in(subject, Lane::Ordinary).await
    }

    /// The same for an operation that only takes away: it has places of its own in the queue, and space of its own on
    /// a full disk.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub async fn record_reserved<T: Recordable>(&self, subject: T) -> Result<Recorded<T>, NotRecorded<T>> {
        self.record_in(subject, Lane::Reserved).await
    }

    async fn record_in<T: Recordable>(&self, subject: T, lane: Lane) -> Result<Recorded<T>, NotRecorded<T>> {
        let intent = subject.intent();
        let ((ack, answer), queue) = (oneshot::channel(), self.0.queue.clone());
        // If the caller is gone, the guard is dropped here and records that.
        let ack = move |durable: Result<Receipt, AuditError>| {
            let _ = ack.send(durable.map(|receipt| OutcomeGuard::new(receipt, queue, lane)));
        };
        if let Err(error) = self.0.queue.push_intent(intent_body(&intent), Box::new(ack), lane) {
            return Err(NotRecorded { subject, error });
        }
        match self.0.queue.answer(answer).await {
            Ok(guard) => Ok(Recorded::new(subject, guard)),
            Err(error) => Err(NotRecorded { subject, error }),
        }
    }
}

impl<T> Recorded<T> {
    /// A guard is made after the sync only.
    const fn new(subject: T, guard: OutcomeGuard) -> Self {
        Self { subject, guard }
    }

    /// The operation.
    pub const fn subject(&self) -> &T {
        &self.subject
    }

    /// The place of its intent.
    pub const fn receipt(&self) -> Receipt {
        self.guard.receipt
    }

    /// Leaves the intent without an outcome: the next start carries it out, from the record alone.
    pub fn leave_to_next_start(mut self) -> Receipt {
        self.guard.queue = None;
        self.guard.receipt
    }

    /// The operation, to be carried out once, and the guard for its outcome.
    pub fn consume(self) -> (T, OutcomeGuard) {
        (self.subject, self.guard)
    }
}

impl OutcomeGuard {
    const fn new(receipt: Receipt, queue: Arc<Queue>, lane: Lane) -> Self {
        Self { receipt, queue: Some(queue), lane }
    }

    /// The place of the intent.
    pub const fn receipt(&self) -> Receipt {
        self.receipt
    }

    /// Queues the outcome and does not wait.
    pub fn record_outcome(mut self, outcome: Outcome) {
        self.push(&outcome, None);
    }

    /// Records the outcome; returns when it is durable.
    ///
    /// # Errors
    /// When the log cannot be written now; the outcome stays queued for when it can.
    pub async fn record_outcome_durable(mut self, outcome: Outcome) -> Result<Receipt, AuditError> {
        let Some(queue) = self.queue.clone() else { return Err(AuditError::Closed) };
        let (ack, answer) = oneshot::channel();
        self.push(&outcome, Some(ack));
        queue.answer(answer).await
    }

    fn push(&mut self, outcome: &Outcome, ack: Option<NoteAck>) {
        let Some(queue) = self.queue.take() else { return };
        let intent = self.receipt.seq;
        let stamp = queue.stamp(intent);
        queue.push_outcome(outcome_body("outcome", intent, outcome, stamp.as_ref()), intent, ack, self.lane);
    }
}

impl Drop for OutcomeGuard {
    fn drop(&mut self) {
        self.push(&Outcome { code: "abandoned", signature_hash: None, micros: 0, detail: None }, None);
    }
}

// By hand, so that operations need no `Debug`.
impl<T> std::fmt::Debug for Recorded<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorded").field("receipt", &self.receipt()).finish_non_exhaustive()
    }
}

impl<T> std::fmt::Debug for NotRecorded<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refused").field("error", &self.error).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for OutcomeGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settlement").field("receipt", &self.receipt).finish_non_exhaustive()
    }
}
