//! [`AuditLog`]: the handle to an open log.
//!
//! It returns a [`Recorded`](crate::Recorded) only when its intent is durable, and the enclave requires one. Not
//! for: files and threads (`writer`, `appender`), reads (`reads`).

pub(crate) mod reads;
pub(crate) mod recorded;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::checkpoint::key::VerifierKey;
use crate::checkpoint::proof::{ConsistencyProof, InclusionProof, ProofError};
use crate::checkpoint::publish_error::PublishError;
use crate::checkpoint::publisher::Publisher;
use crate::checkpoint::publisher_settings::PublisherSettings;
use crate::checkpoint::rollback::RollbackDetected;
use crate::checkpoint::signed::{CheckpointSigner, SignedCheckpoint};
use crate::checkpoint::statement::key_change::{KeyChange, KeyHistory};
use crate::checkpoint::{first, kept};
use crate::durable_head::DurableHead;
use crate::error::{AuditError, OpenError};
use crate::format::encode::{event_body, outcome_body};
use crate::format::head::{Head, Receipt};
use crate::format::record::{BuildInfo, Event, MAX_BODY_BYTES, Outcome, Stamper};
use crate::settings::Settings;
use crate::write::queue::Queue;
use crate::write::queue::entry::Lane;
use crate::write::recovery::OpenIntent;
use crate::write::writer;

/// The handle to an open log; clones share one writer thread. Dropping the last one closes the log.
#[derive(Clone)]
pub struct AuditLog(Arc<Inner>);

struct Inner {
    queue: Arc<Queue>,
    published: Arc<DurableHead>,
    thread: Mutex<Option<JoinHandle<()>>>,
    directory: PathBuf,
    wait: Duration,
    publisher: OnceLock<Arc<Publisher>>,
}

impl AuditLog {
    /// Creates a log: its directory, its identity and its first segment, all durable.
    ///
    /// # Errors
    /// When the directory is not empty, or the disk refuses.
    pub fn create(settings: &Settings) -> Result<(), OpenError> {
        writer::create(settings)
    }

    /// Signs the first checkpoint of a log that was just created and keeps it beside the log, durably.
    ///
    /// # Errors
    /// When the log has records, the signer does not sign, or the disk refuses.
    pub fn sign_first(
        settings: &Settings,
        signer: &dyn CheckpointSigner,
    ) -> Result<SignedCheckpoint, PublishError> {
        first::sign_first(&settings.directory, signer)
    }

    /// Signs the checkpoint of the records that are durable now and keeps it beside the log, durably. For a log whose
    /// checkpoints are not published in this process.
    ///
    /// # Errors
    /// When the signer does not sign, or the disk refuses.
    pub fn sign_now(&self, signer: &dyn CheckpointSigner) -> Result<SignedCheckpoint, PublishError> {
        first::sign_head(&self.0.directory, &self.head(), signer)
    }

    /// Adds a change of the checkpoint key, durably: from here on only the new key signs.
    ///
    /// # Errors
    /// When it does not continue the change before, or the disk refuses.
    pub fn change_key(&self, change: &KeyChange) -> Result<(), PublishError> {
        Ok(KeyHistory::append(&self.0.directory, change)?)
    }

    /// Whether another key has followed this one.
    ///
    /// # Errors
    /// When the changes cannot be read.
    pub fn is_replaced(&self, key: &VerifierKey) -> Result<bool, PublishError> {
        Ok(KeyHistory::read(&self.0.directory)?.successor(key).is_some())
    }

    /// Opens the log: takes its lock, recovers what a crash left, writes the start record and
    /// starts the writer.
    ///
    /// Blocks on the disk. Returns the intents without an outcome: finish or undo each operation
    /// and record that with [`record_recovered`](Self::record_recovered). An intent without it is
    /// returned by the next open as well.
    ///
    /// # Errors
    /// When there is no log, another process has it, it is damaged before its tail, or the disk refuses.
    pub fn open(settings: Settings, boot: BuildInfo) -> Result<(Self, Vec<OpenIntent>), OpenError> {
        let queue = Arc::new(Queue::new(&settings));
        let (directory, wait) = (settings.directory.clone(), settings.wait);
        let writer::Started { thread, published, open_intents } =
            writer::start(&settings, &boot, queue.clone())?;
        let (thread, publisher) = (Mutex::new(Some(thread)), OnceLock::new());
        Ok((Self(Arc::new(Inner { queue, published, thread, directory, wait, publisher })), open_intents))
    }

    /// Queues the record of an event and does not wait. Refusals of unauthenticated clients beyond
    /// a rate are counted in one record.
    pub fn note(&self, event: Event) {
        self.0.queue.push_event(&event);
    }

    /// Records an event; returns when it is durable.
    ///
    /// # Errors
    /// When the log cannot be written now. The event stays queued for when it can.
    pub async fn note_durable(&self, event: Event) -> Result<Receipt, AuditError> {
        let body = event_body(&event);
        if body.len() > MAX_BODY_BYTES {
            return Err(AuditError::TooLarge);
        }
        let (ack, answer) = oneshot::channel();
        self.0.queue.push_note(body, Some(ack));
        self.0.queue.answer(answer).await
    }

    /// Records how an operation of an earlier run ended; returns when that is durable.
    ///
    /// # Errors
    /// When the log cannot be written now.
    pub async fn record_recovered(
        &self,
        intent: &OpenIntent,
        outcome: &Outcome,
    ) -> Result<Receipt, AuditError> {
        let stamp = self.0.queue.stamp(intent.receipt.seq);
        let body = outcome_body("recovered", intent.receipt.seq, outcome, stamp.as_ref());
        let (ack, answer) = oneshot::channel();
        self.0.queue.push_outcome(body, intent.receipt.seq, Some(ack), Lane::Reserved);
        self.0.queue.answer(answer).await
    }

    /// Adds to outcomes what this makes, from now on. The first call counts.
    pub fn stamp_outcomes(&self, stamper: Stamper) {
        self.0.queue.stamp_with(stamper);
    }

    /// Whether an intent would be accepted now. False also while the disk has been silent for
    /// longer than the configured time.
    pub fn is_writable(&self) -> bool {
        self.0.published.is_writable(self.0.wait)
    }

    /// Why nothing can be written now, if that is so.
    pub fn trouble(&self) -> Option<AuditError> {
        self.0.queue.refusal()
    }

    /// The durable end of the log.
    pub fn head(&self) -> Head {
        self.0.published.head()
    }

    /// Starts the publisher: checkpoints, hashes for proofs, the JSON lines file. Blocks for the
    /// first checkpoint.
    ///
    /// # Errors
    /// When the log does not contain the head of a kept checkpoint, or the token or the disk refuses.
    pub fn publish(&self, publishing: PublisherSettings) -> Result<(), PublishError> {
        if self.0.publisher.get().is_some() {
            return Err(PublishError::Already);
        }
        let publisher = Publisher::start(&self.0.directory, self.0.published.clone(), publishing)?;
        self.0.publisher.set(publisher).map_err(|_| PublishError::Already)
    }

    /// The kept checkpoints whose heads the log does not contain: none, unless its disk was rolled
    /// back or replaced. [`publish`](Self::publish) refuses while there is one that is not
    /// accepted.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn detect_rollback(
        &self,
        publishing: &PublisherSettings,
    ) -> Result<Vec<RollbackDetected>, PublishError> {
        kept::detect_rollback(&self.0.directory, &self.head(), publishing)
    }

    /// The newest checkpoint, once they are published.
    pub fn checkpoint(&self) -> Option<Arc<SignedCheckpoint>> {
        self.0.publisher.get()?.newest()
    }

    /// The places that have not taken a checkpoint for longer than
    /// [`stuck_after`](PublisherSettings::stuck_after), by their names. Empty before
    /// [`publish`](Self::publish).
    pub fn stuck_sinks(&self) -> Vec<String> {
        let publisher = self.0.publisher.get();
        publisher
            .map(|publisher| publisher.stuck().into_iter().map(str::to_owned).collect())
            .unwrap_or_default()
    }

    /// Proves that a record is in the log of the newest checkpoint. A few disk reads.
    ///
    /// # Errors
    /// When no checkpoint covers it yet, or none are made.
    pub fn prove_inclusion(&self, seq: u64) -> Result<InclusionProof, ProofError> {
        self.0.publisher.get().ok_or(ProofError::Off)?.inclusion(seq)
    }

    /// Proves that the log of `to` records extends the log of `from` records. A few disk reads.
    ///
    /// # Errors
    /// When no checkpoint covers `to` yet, or none are made.
    pub fn prove_consistency(&self, from: u64, to: u64) -> Result<ConsistencyProof, ProofError> {
        self.0.publisher.get().ok_or(ProofError::Off)?.consistency(from, to)
    }

    /// Writes the queued records and the stop record, syncs and ends the writer. Blocks; other
    /// handles fail from now on.
    ///
    /// # Errors
    /// When the last records could not be made durable.
    pub fn close(self) -> Result<Head, AuditError> {
        self.0.queue.close();
        let thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ended = thread.is_none_or(|thread| thread.join().is_ok());
        if let Some(publisher) = self.0.publisher.get() {
            publisher.join();
        }
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

impl std::fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditLog").field("head", &self.head()).finish_non_exhaustive()
    }
}
