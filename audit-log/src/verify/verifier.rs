//! Verifier of a whole log: every frame, every record, the chain through all segments. It needs the
//! files only and constant memory.
//!
//! Not for: repairing anything.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use super::targets::Targets;

use crate::format::corruption::{Corruption, CorruptionKind, ReadError};
use crate::format::head::Head;
use crate::format::known_head::KnownHead;
use crate::format::log_id::LogId;
use crate::format::segment::Reason;
use crate::format::view::RecordRole;
use crate::read::chain::{Chain, Checked};
use crate::read::cursor::step_with_retry;
use crate::read::frame_reader::{FrameEvent, FrameReader};
use crate::read::source::{Segment, Source};

/// The result of a verification.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The end of the log, as far as it is sound; `None` when there is no segment.
    pub head: Option<Head>,
    /// Number of records that were read and are sound.
    pub records: u64,
    /// Number of segments that were read.
    pub segments: u64,
    /// Records whose segments are not here: moved away by the operator, or missing.
    pub absent: Vec<Range<u64>>,
    /// A write at the end that a crash cut, or that is going on. It was never acknowledged.
    pub torn_tail: Option<TornTail>,
    /// Intents without an outcome: operations under way, or cut off by a crash.
    pub open_intents: u64,
    /// Number of the given checkpoints whose heads the log contains.
    pub checkpoints: u64,
    /// Number of checkpoints of records that are not here.
    pub unchecked_checkpoints: u64,
    /// The last segment that is here.
    pub last_segment: String,
    /// Where its last frame ends.
    pub last_offset: u64,
    /// The first corruption.
    pub corruption: Option<Corruption>,
}

impl Report {
    /// Whether nothing is wrong.
    pub const fn is_sound(&self) -> bool {
        self.corruption.is_none()
    }
}

/// A partial write at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The file.
    pub segment: String,
    /// Where it begins.
    pub offset: u64,
    /// How many bytes of it may be there.
    pub bytes: u64,
}

/// The progress of a verification.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Records checked so far.
    pub records: u64,
    /// Bytes checked so far.
    pub bytes: u64,
    /// Bytes of all segments.
    pub total_bytes: u64,
}

/// Checks the log in a directory.
///
/// # Errors
/// When the disk cannot be read. Corruption is not an error: it is in the report.
pub fn verify(directory: &Path) -> Result<Report, ReadError> {
    verify_with(directory, |_| ())
}

/// Checks the log in a directory and reports its progress, about once per megabyte.
///
/// # Errors
/// When the disk cannot be read. Corruption is not an error: it is in the report.
pub fn verify_with(directory: &Path, progress: impl FnMut(Progress)) -> Result<Report, ReadError> {
    verify_against(directory, &[], progress)
}

/// Checks the log in a directory, and that it contains the heads of these checkpoints.
///
/// # Errors
/// When the disk cannot be read. Corruption is not an error: it is in the report.
pub fn verify_against(
    directory: &Path,
    checkpoints: &[KnownHead],
    progress: impl FnMut(Progress),
) -> Result<Report, ReadError> {
    let source = Source::open(directory)?;
    let firsts = source.firsts()?;
    let mut check = Verification {
        report: Report::default(),
        open: BTreeSet::new(),
        progress,
        done: 0,
        finished: 0,
        total: source.total_bytes(),
        targets: Targets::new(checkpoints),
    };
    for (index, &first) in firsts.iter().enumerate() {
        if let Err(error) = check.segment(&source, first, firsts.get(index + 1).copied()) {
            match error {
                ReadError::Corruption(fault) => check.report.corruption = Some(fault),
                ReadError::Io { .. } | ReadError::Format { .. } => return Err(error),
            }
            break;
        }
    }
    check.end();
    check.report.open_intents = u64::try_from(check.open.len()).unwrap_or(u64::MAX);
    Ok(check.report)
}

struct Verification<P> {
    report: Report,
    open: BTreeSet<u64>,
    progress: P,
    done: u64,
    /// The bytes of the segments that are done, what is left empty in them included.
    finished: u64,
    total: u64,
    targets: Targets,
}

impl<P: FnMut(Progress)> Verification<P> {
    /// Checks one segment; `next` is the first record of the one after it.
    fn segment(&mut self, source: &Source, first: u64, next: Option<u64>) -> Result<(), ReadError> {
        let Segment { name, file, header } = source.segment(first)?;
        let fault =
            |seq, offset, kind| ReadError::from(Corruption { seq, segment: name.clone(), offset, kind });
        let after = match next {
            Some(next) => Some(source.segment(next)?.header),
            None => None,
        };
        self.enter(header.log, &Chain::at(&header), &fault)?;
        let mut chain = Chain::at(&header);
        self.report.unchecked_checkpoints += self.targets.skip_before(chain.size());
        self.targets.reach(&chain.frontier, &[]).map_err(|seq| fault(seq, 0, CorruptionKind::Forked))?;
        let mut reader = FrameReader::new(&file, &name, header.bytes);
        self.report.segments += 1;
        loop {
            if let Some(next) = next
                && chain.size() >= next
            {
                // Behind a failed write nothing was acknowledged. A completed segment ends with
                // zeros.
                let failed = after.as_ref().is_some_and(|after| after.reason == Reason::Failure);
                if !failed {
                    match reader.step(&mut chain, |_| ()) {
                        Ok(FrameEvent::End) => {}
                        Err(error) if error.is(CorruptionKind::Compressed) => return Err(error),
                        _ => return Err(fault(chain.size(), reader.offset, CorruptionKind::Trailing)),
                    }
                }
                break;
            }
            let Self { report, open, targets, .. } = self;
            targets.hashes.clear();
            let before = targets.pending().then(|| chain.frontier.clone());
            let step = step_with_retry(&file, &mut reader, &mut chain, |record| {
                report.records += 1;
                follow(open, record);
                if before.is_some() {
                    targets.hashes.push(record.hash);
                }
            });
            match step? {
                FrameEvent::Frame { disk_bytes, offset } => {
                    if let Some(before) = before {
                        let hashes = std::mem::take(&mut self.targets.hashes);
                        self.targets
                            .reach(&before, &hashes)
                            .map_err(|seq| fault(seq, offset, CorruptionKind::Forked))?;
                        self.targets.hashes = hashes;
                    }
                    self.step_done(header.log, &chain, disk_bytes);
                }
                // Nothing is known to follow, or what follows here is not in this directory.
                FrameEvent::End if after.as_ref().is_none_or(|after| after.previous != first) => break,
                FrameEvent::Torn { to } if next.is_none() => {
                    let (segment, offset) = (name.clone(), reader.offset);
                    self.report.torn_tail = Some(TornTail { segment, offset, bytes: to - offset });
                    break;
                }
                // The rest of the segment is gone, and later records are there.
                FrameEvent::End | FrameEvent::Torn { .. } => {
                    return Err(fault(chain.size(), reader.offset, CorruptionKind::Missing));
                }
            }
        }
        self.finished += header.bytes;
        self.done = self.finished;
        self.say();
        self.report.head = Some(head(header.log, &chain));
        self.report.last_segment.clone_from(&name);
        self.report.last_offset = reader.offset;
        if next.is_some_and(|next| next < chain.size()) {
            return Err(fault(chain.size() - 1, reader.offset, CorruptionKind::Overlap));
        }
        Ok(())
    }

    /// Checks that a segment continues from the head of the one before it, if that is here.
    fn enter(
        &mut self,
        log: LogId,
        chain: &Chain,
        fault: &dyn Fn(u64, u64, CorruptionKind) -> ReadError,
    ) -> Result<(), ReadError> {
        let at = chain.size();
        let before = self.report.head;
        let size = before.map_or(0, |head| head.size);
        if at > size {
            self.report.absent.push(size..at);
            self.open.clear();
            return match before {
                Some(before) if before.log != log => Err(fault(at, 0, CorruptionKind::SegmentHead)),
                _ => Ok(()),
            };
        }
        match before {
            Some(before) if before != head(log, chain) => Err(fault(at, 0, CorruptionKind::SegmentHead)),
            _ => Ok(()),
        }
    }

    /// The log must reach what its checkpoints cover.
    fn end(&mut self) {
        let size = self.report.head.map_or(0, |head| head.size);
        if let Some(&(expected, _)) = self.targets.next().filter(|_| self.report.corruption.is_none()) {
            let segment = self.report.last_segment.clone();
            let kind = CorruptionKind::Truncated { expected };
            self.report.corruption =
                Some(Corruption { seq: size, segment, offset: self.report.last_offset, kind });
        }
        self.report.checkpoints = self.targets.reached;
    }

    fn step_done(&mut self, log: LogId, chain: &Chain, disk_bytes: usize) {
        let before = self.done;
        self.done += u64::try_from(disk_bytes).unwrap_or_default();
        if before >> 20 != self.done >> 20 {
            self.report.head = Some(head(log, chain));
            self.say();
        }
    }

    fn say(&mut self) {
        let (records, bytes) = (self.report.records, self.done.min(self.total));
        (self.progress)(Progress { records, bytes, total_bytes: self.total });
    }
}

fn head(log: LogId, chain: &Chain) -> Head {
    Head { log, size: chain.size(), record_hash: chain.last, root: chain.root }
}

fn follow(open: &mut BTreeSet<u64>, record: &Checked<'_>) {
    match record.view.role() {
        RecordRole::Opens => {
            open.insert(record.view.seq);
        }
        RecordRole::Ends(intent) => {
            open.remove(&intent);
        }
        RecordRole::Neutral => {}
    }
}
