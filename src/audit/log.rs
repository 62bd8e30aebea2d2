//! The door of the log: [`AuditLog`] and the values it mints.
//!
//! A [`Recorded`] exists only when its intent is durable, and is the only way to the enclave. Not for: files and
//! threads (`writer`, `appender`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::queue::{Labels, NoteAck, Queue};
use super::record::{Event, Intent, Outcome, OutcomeLabels, event_body, intent_body, outcome_body};
use super::settings::{AuditError, BootFacts, Head, OpenError, Receipt, Settings, Unsettled};
use super::writer;

/// The handle to an open log; clones share one writer thread. Dropping the last one closes the log.
#[derive(Clone)]
pub struct AuditLog(Arc<Inner>);

struct Inner {
    queue: Arc<Queue>,
    published: Arc<Published>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the writer tells the rest of the program.
pub(crate) struct Published {
    pub(crate) writable: AtomicBool,
    pub(crate) head: Mutex<Head>,
}

/// An operation that can be recorded.
pub trait Recordable {
    /// What its intent record says.
    fn intent(&self) -> Intent;
}

/// Proof that the intent of this operation is durable. Minted by [`AuditLog::record`] only, never cloned.
#[must_use = "an operation that was recorded must be carried out or settled"]
pub struct Recorded<T> {
    subject: T,
    settlement: Settlement,
}

/// The operation comes back: it was not recorded and must not be carried out.
pub struct Refused<T> {
    /// What was to be recorded.
    pub subject: T,
    /// Why it was not.
    pub error: AuditError,
}

/// The duty to say how a recorded operation ended. Dropped unused, it records `abandoned`.
#[must_use = "say how the operation ended"]
pub struct Settlement {
    receipt: Receipt,
    labels: Labels,
    queue: Option<Arc<Queue>>,
}

impl AuditLog {
    /// Makes a new log: its directory, its identity and its first segment, all durable.
    ///
    /// # Errors
    /// When anything is there already, or the disk refuses.
    pub fn create(settings: &Settings) -> Result<(), OpenError> {
        writer::create(settings)
    }

    /// Opens the log: takes its lock, recovers what a crash left, writes the start record and starts the writer.
    ///
    /// Blocks on the disk. The intents that have no outcome come back; finish or undo each operation and settle it
    /// with [`settle_recovered`](Self::settle_recovered). One that is not settled comes back at the next open.
    ///
    /// # Errors
    /// When there is no log, another process has it, it is damaged before its tail, or the disk refuses.
    pub fn open(settings: Settings, boot: BootFacts) -> Result<(Self, Vec<Unsettled>), OpenError> {
        let queue = Arc::new(Queue::new(&settings));
        let writer::Started { thread, published, unsettled } =
            writer::start(&settings, &boot, queue.clone())?;
        Ok((Self(Arc::new(Inner { queue, published, thread: Mutex::new(Some(thread)) })), unsettled))
    }

    /// Records the intent of an operation; answers when it is durable, or refuses within the configured wait.
    ///
    /// Needs a tokio runtime with time enabled.
    ///
    /// # Errors
    /// Gives the operation back with the reason: nothing may be signed.
    pub async fn record<T: Recordable>(&self, subject: T) -> Result<Recorded<T>, Refused<T>> {
        let intent = subject.intent();
        let eoa = intent.key.as_ref().map(|key| key.eoa).or(intent.actor.eoa);
        let labels = Labels { operation: intent.operation, request: intent.request, eoa };
        let (ack, answer) = oneshot::channel();
        if let Err(error) = self.0.queue.push_intent(intent_body(&intent), labels, ack) {
            return Err(Refused { subject, error });
        }
        match self.0.queue.answer(answer).await {
            Ok(settlement) => Ok(Recorded { subject, settlement }),
            Err(error) => Err(Refused { subject, error }),
        }
    }

    /// Queues the record of an event and does not wait. Refusals of strangers beyond a rate are counted in one record.
    pub fn note(&self, event: Event) {
        self.0.queue.push_event(&event);
    }

    /// Records an event; answers when it is durable.
    ///
    /// # Errors
    /// When the log cannot be written now. The event stays queued for when it can.
    pub async fn note_durable(&self, event: Event) -> Result<Receipt, AuditError> {
        let body = event_body(&event);
        if body.len() > super::queue::MAX_BODY_BYTES {
            return Err(AuditError::TooLarge);
        }
        let (ack, answer) = oneshot::channel();
        self.0.queue.push_note(body, Some(ack));
        self.0.queue.answer(answer).await
    }

    /// Says how an operation of an earlier run ended; answers when that is durable.
    ///
    /// # Errors
    /// When the log cannot be written now.
    pub async fn settle_recovered(
        &self,
        unsettled: &Unsettled,
        outcome: &Outcome,
    ) -> Result<Receipt, AuditError> {
        let labels = OutcomeLabels {
            operation: &unsettled.operation,
            request: unsettled.text("/request"),
            eoa: unsettled.text("/key/eoa").or_else(|| unsettled.text("/actor/eoa")),
        };
        let body = outcome_body("recovered", unsettled.receipt.seq, &labels, &outcome);
        let (ack, answer) = oneshot::channel();
        self.0.queue.push_outcome(body, unsettled.receipt.seq, Some(ack));
        self.0.queue.answer(answer).await
    }

    /// Whether an intent would be taken now.
    pub fn is_writable(&self) -> bool {
        self.0.published.writable.load(Ordering::Acquire)
    }

    /// Why nothing can be written now, if so.
    pub fn trouble(&self) -> Option<AuditError> {
        self.0.queue.refusal()
    }

    /// The durable end of the log.
    pub fn head(&self) -> Head {
        *self.0.published.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what waits, the stop record, syncs and ends the writer. Blocks; other handles are refused from now on.
    ///
    /// # Errors
    /// When the last records could not be made durable.
    pub fn close(self) -> Result<Head, AuditError> {
        self.0.queue.close();
        let thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ended = thread.is_none_or(|thread| thread.join().is_ok());
        match self.0.queue.refusal() {
            Some(error @ AuditError::Unavailable { .. }) => Err(error),
            _ if !ended => Err(AuditError::Unavailable { cause: Arc::from("the writer thread panicked") }),
            _ => Ok(self.head()),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl<T> Recorded<T> {
    /// The operation.
    pub const fn subject(&self) -> &T {
        &self.subject
    }

    /// Where its intent stands.
    pub const fn receipt(&self) -> Receipt {
        self.settlement.receipt
    }

    /// Takes the operation out, to be carried out once, and the duty to say how it ended.
    pub fn consume(self) -> (T, Settlement) {
        (self.subject, self.settlement)
    }
}

impl Settlement {
    pub(crate) const fn new(receipt: Receipt, labels: Labels, queue: Arc<Queue>) -> Self {
        Self { receipt, labels, queue: Some(queue) }
    }

    /// Where the intent stands.
    pub const fn receipt(&self) -> Receipt {
        self.receipt
    }

    /// Queues the outcome and does not wait.
    pub fn settle(mut self, outcome: Outcome) {
        self.push(&outcome, None);
    }

    /// Records the outcome; answers when it is durable.
    ///
    /// # Errors
    /// When the log cannot be written now; the outcome stays queued for when it can.
    pub async fn settle_durable(mut self, outcome: Outcome) -> Result<Receipt, AuditError> {
        let Some(queue) = self.queue.clone() else { return Err(AuditError::Closed) };
        let (ack, answer) = oneshot::channel();
        self.push(&outcome, Some(ack));
        queue.answer(answer).await
    }

    fn push(&mut self, outcome: &Outcome, ack: Option<NoteAck>) {
        let Some(queue) = self.queue.take() else { return };
        let (request, eoa) = (self.labels.request.to_string(), self.labels.eoa.map(|eoa| eoa.to_string()));
        let labels =
            OutcomeLabels { operation: self.labels.operation, request: Some(&request), eoa: eoa.as_deref() };
        queue.push_outcome(
            outcome_body("outcome", self.receipt.seq, &labels, outcome),
            self.receipt.seq,
            ack,
        );
    }
}

impl Drop for Settlement {
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

impl<T> std::fmt::Debug for Refused<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refused").field("error", &self.error).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Settlement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settlement").field("receipt", &self.receipt).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditLog").field("head", &self.head()).finish_non_exhaustive()
    }
}
