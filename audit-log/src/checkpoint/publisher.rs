//! Publisher thread: signs checkpoints, keeps the hashes for proofs, writes the JSON lines file.
//!
//! It only reads the segments, up to the durable head. It can be late or fail without any effect on
//! signing. Not for: durability (`writer`).

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::checkpoint::hash_index::{HashIndex, HashIndexReader};
use crate::checkpoint::jsonl_mirror::Mirror;
use crate::checkpoint::key::VerifierKey;
use crate::checkpoint::proof::{self, ConsistencyProof, InclusionProof, ProofError};
use crate::checkpoint::rollback::{self, KnownCheckpoint, KnownHead, RollbackDetected};
use crate::checkpoint::segment_checkpoint::{PUBLIC, SegmentCheckpoints};
use crate::checkpoint::signed::{CheckpointError, CheckpointSigner, SignedCheckpoint};
use crate::durable_head::DurableHead;
use crate::format::corruption::{ReadError, io_error};
use crate::format::head::Head;
use crate::format::names::CHECKPOINT;
use crate::read::source::Source;
use crate::storage::atomic_write::{read_optional, write_atomically};

/// Receives each new checkpoint, on the publisher's thread.
pub type CheckpointSink = Box<dyn Fn(&SignedCheckpoint) + Send>;

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
    /// Receives each new checkpoint: a log line, a webhook, the token.
    pub on_checkpoint: Option<CheckpointSink>,
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
            on_checkpoint: None,
        }
    }
}

impl PublisherSettings {
    fn origin(&self, head: &Head) -> String {
        self.origin.clone().unwrap_or_else(|| head.log.origin())
    }
}

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
    /// The thread.
    #[error("cannot start the publisher thread")]
    Thread(#[source] std::io::Error),
    /// It is running.
    #[error("checkpoints of this log are published already")]
    Already,
}

/// The publisher's results, for the rest of the program.
pub(crate) struct Publisher {
    newest: Mutex<Option<Arc<SignedCheckpoint>>>,
    stored: Option<HashIndexReader>,
    /// Whether the stored hashes were found to be wrong.
    distrusted: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Publisher {
    /// Checks for a rollback, makes the first checkpoint and starts the thread.
    pub(crate) fn start(
        directory: &Path,
        published: Arc<DurableHead>,
        publishing: PublisherSettings,
    ) -> Result<Arc<Self>, PublishError> {
        let head = published.head();
        let detected = detect_rollback(directory, &head, &publishing)?;
        let accepted = |one: &RollbackDetected| publishing.accepted.contains(&one.known);
        if let Some(one) = detected.into_iter().find(|one| !accepted(one)) {
            return Err(PublishError::RolledBack(one));
        }
        let origin = publishing.origin(&head);
        let mut index = HashIndex::open(directory)?;
        if let Some(index) = &mut index {
            if let Err(error) = index.update(head.size) {
                tracing::warn!(error = &error as &dyn std::error::Error, "audit proofs are behind");
            }
        } else {
            tracing::warn!("older audit segments were moved away before they were indexed: no proofs");
        }
        let stored = index.as_ref().and_then(|index| index.reader().ok());
        let this = Arc::new(Self {
            newest: Mutex::new(None),
            stored,
            distrusted: AtomicBool::new(false),
            thread: Mutex::new(None),
        });
        let mirror = publishing.mirror.clone().map(|path| Mirror::new(path, directory.to_owned()));
        let mut worker = Worker {
            directory: directory.to_owned(),
            origin,
            publishing,
            published,
            index,
            mirror,
            publisher: this.clone(),
            seals: SegmentCheckpoints::default(),
            last: None,
        };
        worker.checkpoint(&head)?;
        if let Some(newest) = this.newest() {
            worker.seals = SegmentCheckpoints::missing(directory, this.stored.as_ref(), &newest, &head)?;
        }
        let thread = std::thread::Builder::new()
            .name("audit-publisher".to_owned())
            .spawn(move || worker.run())
            .map_err(PublishError::Thread)?;
        *this.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(this)
    }

    /// The newest checkpoint.
    pub(crate) fn newest(&self) -> Option<Arc<SignedCheckpoint>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn inclusion(&self, seq: u64) -> Result<InclusionProof, ProofError> {
        let newest = self.newest().ok_or(ProofError::Off)?;
        let proof = proof::inclusion(self.stored.as_ref().ok_or(ProofError::Off)?, &newest, seq);
        self.note_wrong(proof)
    }

    /// A wrong proof means that the stored hashes are wrong.
    fn note_wrong<T>(&self, proof: Result<T, ProofError>) -> Result<T, ProofError> {
        if matches!(proof, Err(ProofError::Wrong)) {
            self.distrusted.store(true, Ordering::Relaxed);
        }
        proof
    }

    pub(crate) fn consistency(&self, from: u64, to: u64) -> Result<ConsistencyProof, ProofError> {
        let newest = self.newest().ok_or(ProofError::Off)?;
        let stored = self.stored.as_ref().ok_or(ProofError::Off)?;
        let proof = proof::consistency(stored, newest.size(), from, to).and_then(|proof| {
            // What is stored must lead to what was signed.
            let signed = to != newest.size() || proof.to_root == newest.root();
            signed.then_some(proof).ok_or(ProofError::Wrong)
        });
        self.note_wrong(proof)
    }

    /// Waits for the last checkpoint, once the writer has ended.
    pub(crate) fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

/// The kept checkpoints whose heads the log of `head` does not contain.
pub(crate) fn detect_rollback(
    directory: &Path,
    head: &Head,
    publishing: &PublisherSettings,
) -> Result<Vec<RollbackDetected>, PublishError> {
    let key = VerifierKey::new(&publishing.origin(head), publishing.signer.public_key())
        .map_err(|_| CheckpointError::OriginForm)?;
    let kept = read_optional(&directory.join(CHECKPOINT)).map_err(|error| io_error(CHECKPOINT, error))?;
    let mut claims: Vec<_> =
        kept.into_iter().map(|note| KnownCheckpoint { kept_in: "the directory of the log", note }).collect();
    claims.extend(
        publishing.anchors.iter().map(|note| KnownCheckpoint { kept_in: "the token", note: note.clone() }),
    );
    Ok(rollback::detect(&Source::open(directory)?, head, &key, &claims)?)
}

/// Nice value of the thread: under full load it gets a tenth of the time of another thread.
const NICE: i32 = 10;

struct Worker {
    directory: PathBuf,
    origin: String,
    publishing: PublisherSettings,
    published: Arc<DurableHead>,
    index: Option<HashIndex>,
    mirror: Option<Mirror>,
    publisher: Arc<Publisher>,
    seals: SegmentCheckpoints,
    last: Option<(u64, Instant)>,
}

impl Worker {
    fn run(&mut self) {
        // Some milliseconds of hashing each second, which no signature waits for. On Linux this is
        // of the thread alone.
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::debug!(%error, "the publisher of checkpoints keeps the ordinary priority");
        }
        let mut seen = self.last.map_or(0, |(size, _)| size);
        loop {
            let closed = self.published.wait(seen, self.publishing.every);
            let head = self.published.head();
            // Also when its checkpoint fails: the next attempt comes with the next interval.
            seen = head.size;
            let completed = self.published.take_sealed();
            self.seals.make(completed, &self.directory, &self.origin, &*self.publishing.signer);
            if self.publisher.distrusted.swap(false, Ordering::Relaxed) {
                self.rebuild_index();
            }
            let (size, when) = self.last.map_or((0, None), |(size, when)| (size, Some(when)));
            let quiet = when.is_some_and(|when| when.elapsed() < self.publishing.idle);
            if (size != head.size || !quiet)
                && let Err(error) = self.checkpoint(&head)
            {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "cannot make a checkpoint of the audit log; trying again with the next one"
                );
            }
            if let Some(mirror) = &mut self.mirror
                && let Err(error) = mirror.update(head.size)
            {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the JSON lines file of the audit log is behind"
                );
            }
            if closed {
                return;
            }
        }
    }

    fn rebuild_index(&mut self) {
        let Some(index) = &mut self.index else { return };
        tracing::warn!("the stored hashes of the audit log were wrong and are rebuilt");
        if let Err(error) = index.rebuild() {
            tracing::error!(error = &error as &dyn std::error::Error, "no audit proofs of some records");
        }
    }

    /// Makes the checkpoint of a head and passes it on.
    fn checkpoint(&mut self, head: &Head) -> Result<(), PublishError> {
        if let Some(index) = &mut self.index {
            // Proofs can be late; a checkpoint cannot.
            let failed = index.update(head.size).err();
            if failed.is_some() || index.size() < head.size {
                let error = failed.as_ref().map(|error| error as &dyn std::error::Error);
                tracing::warn!(error, indexed = index.size(), size = head.size, "audit proofs are behind");
            }
        }
        let checkpoint = SignedCheckpoint::sign(&self.origin, head, &*self.publishing.signer)?;
        let path = self.directory.join(CHECKPOINT);
        write_atomically(&path, checkpoint.note().as_bytes(), PUBLIC)
            .map_err(|source| PublishError::Write { path, source })?;
        for path in &self.publishing.files {
            if let Err(error) = write_atomically(path, checkpoint.note().as_bytes(), PUBLIC) {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a copy of the checkpoint was not written"
                );
            }
        }
        if let Some(show) = &self.publishing.on_checkpoint {
            show(&checkpoint);
        }
        *self.publisher.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(checkpoint));
        self.last = Some((head.size, Instant::now()));
        Ok(())
    }
}
