//! Publisher thread: signs checkpoints, keeps the hashes for proofs, hands checkpoints to the sinks.
//!
//! It only reads the segments, up to the durable head. It can be late or fail without any effect on
//! signing. What leaves this host goes first, and no sink waits for another. Not for: durability
//! (`writer`).

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::checkpoint::hash_index::{HashIndex, HashIndexReader};
use crate::checkpoint::jsonl_mirror::Mirror;
use crate::checkpoint::kept::{LOG_DIRECTORY, detect_rollback};
use crate::checkpoint::proof::{self, ConsistencyProof, InclusionProof, ProofError};
use crate::checkpoint::publish_error::PublishError;
use crate::checkpoint::publisher_settings::PublisherSettings;
use crate::checkpoint::rollback::RollbackDetected;
use crate::checkpoint::segment_checkpoint::{PUBLIC, SegmentCheckpoints};
use crate::checkpoint::signed::SignedCheckpoint;
use crate::checkpoint::sink::{CheckpointSink, SinkThread};
use crate::durable_head::DurableHead;
use crate::format::head::Head;
use crate::format::names::CHECKPOINT;
use crate::metrics;
use crate::storage::atomic_write::write_atomically;

/// The publisher's results, for the rest of the program.
pub(crate) struct Publisher {
    /// The newest checkpoint, and when it was signed.
    newest: Mutex<Option<(Arc<SignedCheckpoint>, Instant)>>,
    /// Where checkpoints go; the directory of the log is the last.
    sinks: Vec<SinkThread>,
    stuck_after: Duration,
    /// The longest time between two checkpoints.
    idle: Duration,
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
        mut publishing: PublisherSettings,
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
        let sinks = sinks(directory, &mut publishing).map_err(PublishError::Thread)?;
        let this = Arc::new(Self {
            newest: Mutex::new(None),
            sinks,
            stuck_after: publishing.stuck_after,
            idle: publishing.idle,
            stored,
            distrusted: AtomicBool::new(false),
            thread: Mutex::new(None),
        });
        let mut worker = Worker {
            directory: directory.to_owned(),
            origin,
            publishing,
            published,
            index,
            publisher: this.clone(),
            seals: SegmentCheckpoints::default(),
            alarmed: Vec::new(),
        };
        let newest = worker.sign(&head)?;
        worker.seals = SegmentCheckpoints::missing(directory, this.stored.as_ref(), &newest, &head)?;
        worker.publish(&newest);
        worker.alarm();
        let thread = std::thread::Builder::new()
            .name("audit-publisher".to_owned())
            .spawn(move || worker.run())
            .map_err(PublishError::Thread)?;
        *this.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(this)
    }

    /// The newest checkpoint.
    pub(crate) fn newest(&self) -> Option<Arc<SignedCheckpoint>> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.as_ref().map(|(newest, _)| Arc::clone(newest))
    }

    /// What has been behind for too long: sinks by their names, and the key that signs.
    pub(crate) fn stuck(&self) -> Vec<&str> {
        let limit = self.stuck_after;
        let signed = self.newest.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(_, at)| *at);
        let unsigned = signed.is_none_or(|at| at.elapsed() > limit.saturating_add(self.idle));
        let sinks = self.sinks.iter().filter(|sink| sink.is_stuck(limit)).map(SinkThread::name);
        unsigned.then_some("the key that signs checkpoints").into_iter().chain(sinks).collect()
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

    /// Waits for the last checkpoint and its delivery, once the writer has ended. A stuck sink is
    /// left behind after [`LAST_DELIVERY`].
    pub(crate) fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
        let until = Instant::now() + LAST_DELIVERY;
        self.sinks.iter().for_each(SinkThread::close);
        for sink in self.sinks.iter().filter(|sink| !sink.join(until)) {
            tracing::error!("{} did not take the last audit checkpoint in time", sink.name());
        }
    }
}

/// How long all sinks together have for the last checkpoint.
const LAST_DELIVERY: Duration = Duration::from_secs(10);

/// Starts the sinks: those of the caller, the copies, the JSON lines file, and at last the log's own
/// directory.
fn sinks(directory: &Path, publishing: &mut PublisherSettings) -> std::io::Result<Vec<SinkThread>> {
    let file = |name: String, path: PathBuf| {
        CheckpointSink::new(name, Duration::ZERO, move |one| {
            Ok(write_atomically(&path, one.note().as_bytes(), PUBLIC)?)
        })
    };
    let mut sinks = std::mem::take(&mut publishing.sinks);
    sinks.extend(publishing.files.iter().map(|path| file(path.display().to_string(), path.clone())));
    if let Some(path) = &publishing.mirror {
        let mut mirror = Mirror::new(path.clone(), directory.to_owned());
        sinks.push(CheckpointSink::new(path.display().to_string(), Duration::ZERO, move |one| {
            Ok(mirror.update(one.size())?)
        }));
    }
    sinks.push(file(LOG_DIRECTORY.to_owned(), directory.join(CHECKPOINT)));
    sinks.into_iter().map(SinkThread::start).collect()
}

/// Nice value of the thread: under full load it gets a tenth of the time of another thread.
const NICE: i32 = 10;

struct Worker {
    directory: PathBuf,
    origin: String,
    publishing: PublisherSettings,
    published: Arc<DurableHead>,
    index: Option<HashIndex>,
    publisher: Arc<Publisher>,
    seals: SegmentCheckpoints,
    /// What was found stuck at the last look.
    alarmed: Vec<String>,
}

impl Worker {
    fn run(&mut self) {
        // Some milliseconds of hashing each second, which no signature waits for. On Linux this is
        // of the thread alone.
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::debug!(%error, "the publisher of checkpoints keeps the ordinary priority");
        }
        let mut seen = self.publisher.newest().map_or(0, |newest| newest.size());
        let mut last = Instant::now();
        loop {
            let closed = self.published.wait(seen, self.publishing.every);
            let head = self.published.head();
            self.seals.add(self.published.take_sealed());
            if self.publisher.distrusted.swap(false, Ordering::Relaxed) {
                self.rebuild_index();
            }
            let size = self.publisher.newest().map_or(0, |newest| newest.size());
            if size != head.size || last.elapsed() >= self.publishing.idle {
                match self.sign(&head) {
                    Ok(checkpoint) => {
                        last = Instant::now();
                        self.publish(&checkpoint);
                    }
                    Err(error) => tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "cannot make a checkpoint of the audit log; trying again with the next one"
                    ),
                }
            }
            // Also when its checkpoint fails: the next attempt comes with the next interval.
            seen = head.size;
            self.alarm();
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

    /// Makes the checkpoint of a head.
    fn sign(&mut self, head: &Head) -> Result<Arc<SignedCheckpoint>, PublishError> {
        if let Some(index) = &mut self.index {
            // Proofs can be late; a checkpoint cannot.
            let failed = index.update(head.size).err();
            if failed.is_some() || index.size() < head.size {
                let error = failed.as_ref().map(|error| error as &dyn std::error::Error);
                tracing::warn!(error, indexed = index.size(), size = head.size, "audit proofs are behind");
            }
        }
        Ok(Arc::new(SignedCheckpoint::sign(&self.origin, head, &*self.publishing.signer)?))
    }

    /// Passes a checkpoint on: outward first. The log's directory gets it after those of the segments
    /// that it covers, so that a reader of the directory can tell which of them must be there.
    fn publish(&mut self, checkpoint: &Arc<SignedCheckpoint>) {
        *self.publisher.newest.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Arc::clone(checkpoint), Instant::now()));
        let Some((own, outward)) = self.publisher.sinks.split_last() else { return };
        outward.iter().for_each(|sink| sink.submit(checkpoint));
        self.seals.make(&self.directory, &self.origin, &*self.publishing.signer);
        own.submit(checkpoint);
    }

    /// Says once which sinks have become stuck, and counts them.
    fn alarm(&mut self) {
        let stuck: Vec<_> = self.publisher.stuck().into_iter().map(str::to_owned).collect();
        metrics::stuck_sinks(stuck.len());
        for name in stuck.iter().filter(|name| !self.alarmed.contains(name)) {
            tracing::error!(sink = %name, "audit checkpoints do not leave this host as configured: a sink is stuck");
        }
        self.alarmed = stuck;
    }
}
