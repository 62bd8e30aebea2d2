//! Logs to test with, and the tools of an owner of the disk. A module of the audit tests.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use audit_log::{
    Actor, AuditLog, BuildInfo, Event, Head, Input, Intent, KeyRef, Outcome, Recordable, Settings,
};
use test_report::TimeLimit;

pub const HEADER: usize = 4096;

/// An account in the form of the log.
pub fn eoa(n: u8) -> String {
    format!("0x{}", hex::encode([n; 20]))
}

/// The id of a request in the form of the log.
pub fn request(n: u8) -> String {
    format!("req_{}", hex::encode([n; 16]))
}

#[derive(Debug)]
pub struct Multiply(pub u8);

impl Recordable for Multiply {
    fn intent(&self) -> Intent {
        let eoa = eoa(self.0);
        Intent {
            operation: "scalar_mul",
            actor: Actor::token(Some(eoa.clone()), "tok_1", Some("127.0.0.1:5000".parse().unwrap())),
            request: request(self.0),
            key: Some(KeyRef {
                eoa,
                name: "default".to_owned(),
                version: Some(1),
                id: Some("00ff".to_owned()),
                public_key_hash: Some([self.0; 32]),
            }),
            input: Some(Input::Point([self.0; 64])),
        }
    }
}

pub fn boot() -> BuildInfo {
    BuildInfo { version: "0.1.0".to_owned(), config_digest: [7; 32], installation: None }
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Records this many signatures.
pub fn fill(log: &AuditLog, count: u8) {
    runtime().block_on(async {
        for n in 0..count {
            let recorded = log.record(Multiply(n)).await.unwrap();
            recorded.consume().1.record_outcome_durable(Outcome::ok(1)).await.unwrap();
        }
    });
}

/// A log in a directory of its own.
pub struct Log {
    root: Arc<tempfile::TempDir>,
    name: String,
    segment_bytes: u64,
    head: Option<Head>,
    limit: Arc<TimeLimit>,
}

/// A log to copy from many times.
pub type Kept = Log;

impl Log {
    pub fn empty(segment_bytes: u64) -> Self {
        let root = Arc::new(tempfile::tempdir().unwrap());
        let limit = Arc::new(TimeLimit::of_this_test());
        let log = Self { root, name: "audit".to_owned(), segment_bytes, head: None, limit };
        AuditLog::create(&log.settings()).unwrap();
        log
    }

    /// A start, `count` intents and outcomes, each in a frame of its own, and a stop. `count` is even.
    pub fn with_records(count: u8) -> Self {
        Self::empty(1 << 18).filled(count)
    }

    pub fn filled(mut self, count: u8) -> Self {
        let runtime = runtime();
        let (log, _) = AuditLog::open(self.settings(), boot()).unwrap();
        for n in 0..count / 2 {
            runtime.block_on(async {
                let (_, settlement) = log.record(Multiply(n)).await.unwrap().consume();
                settlement.record_outcome_durable(Outcome::ok(90)).await.unwrap();
            });
        }
        self.head = Some(log.close().unwrap());
        self.age();
        self
    }

    /// A start, then `count` intents in exactly one frame, and what closing adds.
    ///
    /// The writer may take the first records before the last are queued; such a log is thrown away.
    pub fn with_one_batch(count: u8) -> Self {
        let holds_all = |frame: &Vec<u8>| count_of(frame) == u64::from(count);
        (0..200)
            .map(|_| Self::with_waiters(count))
            .find(|log| log.frames(0).get(1).is_some_and(holds_all))
            .expect("200 logs, and in each the writer split the records over several frames")
    }

    /// A start, then `count` intents that were queued together, in as few frames as the writer makes, and what closing adds.
    pub fn with_waiters(count: u8) -> Self {
        let mut this = Self::empty(1 << 18);
        let (log, _) = AuditLog::open(this.settings(), boot()).unwrap();
        runtime().block_on(async {
            let all: Vec<_> = (0..count).map(|n| Box::pin(log.record(Multiply(n)))).collect();
            for recorded in futures_all(all).await {
                recorded.unwrap().consume().1.record_outcome(Outcome::ok(90));
            }
        });
        this.head = Some(log.close().unwrap());
        this.age();
        this
    }

    /// The copy of a running log of that many small segments; record 1 is an intent without an outcome.
    pub fn with_open_intent(segments: usize) -> Self {
        let log = Self::empty(1 << 16);
        runtime().block_on(async {
            let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
            let held = open.record(Multiply(200)).await.unwrap();
            while log.firsts().len() < segments {
                let (_, settlement) = open.record(Multiply(1)).await.unwrap().consume();
                settlement.record_outcome_durable(Outcome::ok(1)).await.unwrap();
            }
            let copy = log.copy();
            drop(held);
            copy
        })
    }

    /// A log of that many small segments.
    pub fn with_segments(count: usize) -> Self {
        let mut this = Self::empty(1 << 16);
        let runtime = runtime();
        let (log, _) = AuditLog::open(this.settings(), boot()).unwrap();
        // With these notes each segment begins with an intent, and none is cut off from its outcome.
        let note = Event {
            operation: "keys.list",
            actor: Actor::local(),
            request: None,
            key: None,
            input: None,
            code: "ok",
        };
        runtime.block_on(log.note_durable(note.clone())).unwrap();
        let (mut n, mut segments) = (0_u8, 1);
        while this.firsts().len() < count {
            n = n.wrapping_add(1);
            runtime.block_on(async {
                let (_, settlement) = log.record(Multiply(n)).await.unwrap().consume();
                settlement.record_outcome_durable(Outcome::ok(90)).await.unwrap();
            });
            if this.firsts().len() > segments {
                segments += 1;
                for _ in 0..2 {
                    runtime.block_on(log.note_durable(note.clone())).unwrap();
                }
            }
        }
        this.head = Some(log.close().unwrap());
        this.age();
        this
    }

    pub fn keep(self) -> Kept {
        self
    }

    pub fn settings(&self) -> Settings {
        Settings { segment_bytes: self.segment_bytes, ..Settings::new(self.directory()) }
    }

    pub fn directory(&self) -> PathBuf {
        self.root.path().join(&self.name)
    }

    pub fn head(&self) -> Head {
        self.head.unwrap()
    }

    /// The same files in another directory.
    pub fn copy(&self) -> Self {
        let root = Arc::new(tempfile::tempdir().unwrap());
        let copy = Self { root, name: self.name.clone(), limit: self.limit.clone(), ..*self };
        fs::create_dir(copy.directory()).unwrap();
        for entry in fs::read_dir(self.directory()).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name().to_string_lossy().starts_with("seg-") {
                fs::copy(entry.path(), copy.directory().join(entry.file_name())).unwrap();
            }
        }
        copy.age();
        copy
    }

    /// Makes the files old, so that readers do not wait for a write in progress.
    #[allow(clippy::disallowed_methods, reason = "the system compares the time of a file with its own")]
    pub fn age(&self) {
        for first in self.firsts() {
            let file = File::options().write(true).open(self.segment_path(first)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
        }
    }

    pub fn firsts(&self) -> Vec<u64> {
        let mut firsts: Vec<u64> = fs::read_dir(self.directory())
            .unwrap()
            .filter_map(|entry| {
                let name = entry.unwrap().file_name().into_string().unwrap();
                name.strip_prefix("seg-")?.strip_suffix(".log")?.parse().ok()
            })
            .collect();
        firsts.sort_unstable();
        firsts
    }

    pub fn segment_path(&self, first: u64) -> PathBuf {
        self.directory().join(format!("seg-{first:020}.log"))
    }

    pub fn segment(&self, first: u64) -> Vec<u8> {
        fs::read(self.segment_path(first)).unwrap()
    }

    pub fn write_segment(&self, first: u64, bytes: &[u8]) {
        fs::write(self.segment_path(first), bytes).unwrap();
        self.age();
    }

    /// The bytes from the start of the first segment to the end of its last frame.
    pub fn written(&self) -> usize {
        HEADER + self.frames(0).iter().map(Vec::len).sum::<usize>()
    }

    /// The frames of a segment, padding included.
    pub fn frames(&self, first: u64) -> Vec<Vec<u8>> {
        let bytes = self.segment(first);
        let mut frames = Vec::new();
        let mut at = HEADER;
        while at < bytes.len() && bytes[at..].starts_with(b"AVKF") {
            let len = u32::from_be_bytes(bytes[at + 28..at + 32].try_into().unwrap());
            let size = (84 + len as usize + 36).next_multiple_of(512);
            frames.push(bytes[at..at + size].to_vec());
            at += size;
        }
        frames
    }

    /// Puts other frames into a segment, each with its place in the file as it comes.
    pub fn write_frames(&self, first: u64, frames: &[Vec<u8>]) {
        let old = self.segment(first);
        let mut bytes = old[..HEADER].to_vec();
        frames.iter().for_each(|frame| bytes.extend_from_slice(frame));
        bytes.resize(old.len(), 0);
        self.write_segment(first, &bytes);
    }
}

/// The number of a frame's first record.
pub fn first_of(frame: &[u8]) -> u64 {
    u64::from_be_bytes(frame[32..40].try_into().unwrap())
}

/// The number of records in a frame.
pub fn count_of(frame: &[u8]) -> u64 {
    u64::from(u32::from_be_bytes(frame[24..28].try_into().unwrap()))
}

/// Replaces words of the same length in a frame and repairs the frame's checksum.
pub fn rewrite(frame: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let at = frame.windows(from.len()).position(|window| window == from).unwrap();
    frame[at..at + to.len()].copy_from_slice(to);
    repair(frame);
}

/// Computes a frame's checksums.
pub fn repair(frame: &mut [u8]) {
    let head = crc32c::crc32c(&frame[..80]).to_be_bytes();
    frame[80..84].copy_from_slice(&head);
    let len = u32::from_be_bytes(frame[28..32].try_into().unwrap()) as usize;
    let end = 84 + len + 32;
    let crc = crc32c::crc32c(&frame[..end]).to_be_bytes();
    frame[end..end + 4].copy_from_slice(&crc);
}

/// Polls all together, so that they wait for one batch.
pub async fn futures_all<F: Future + Unpin>(mut futures: Vec<F>) -> Vec<F::Output> {
    let mut done: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, slot) in futures.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let std::task::Poll::Ready(value) = std::pin::Pin::new(future).poll(context)
            {
                *slot = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().map(Option::unwrap).collect()
}
