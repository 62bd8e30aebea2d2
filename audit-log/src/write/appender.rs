//! Appender: numbers and chains records and makes them durable with one frame, one write and one
//! `fdatasync` per batch.
//!
//! On any error nothing has changed in memory and the segment is not written again;
//! [`Appender::resume`] continues in a new one. Generic over the disk. Not for: threads and waiting
//! (`writer`), what to do about errors (`writer`).

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use crate::durable_head::SealedSegment;
use crate::error::OpenError;
use crate::format::encode::{prefix, resume_body, start_body, stop_body};
use crate::format::frame::{FrameBuffer, FrameHead, OPENING};
use crate::format::head::{Head, Receipt};
use crate::format::log_id::LogId;
use crate::format::merkle::{Frontier, Hash};
use crate::format::names;
use crate::format::record::BuildInfo;
use crate::format::segment::{HEADER_BYTES, NONE, Reason, SegmentHeader};
use crate::format::time::RecordTime;
use crate::format::view::View;
use crate::storage::disk::{Disk, commit};
use crate::write::queue::entry::{AckKind, Lane, QueuedRecord};
use crate::write::recovery::{ActiveSegment, OpenIntent, Recovered, recover};
use crate::write::segment_rotation::{self, Layout, SegmentRotation};

/// The run that opens the log.
#[derive(Clone, Debug)]
pub(crate) struct RunInfo {
    pub(crate) boot: BuildInfo,
    /// The kernel's boot id: monotonic times of one id can be compared.
    pub(crate) kernel_boot: String,
    /// Random, for this open only.
    pub(crate) epoch: [u8; 16],
}

/// The writing end of the log.
pub(crate) struct Appender<D: Disk> {
    pub(crate) disk: D,
    layout: Layout,
    log: LogId,
    epoch: [u8; 16],
    frontier: Frontier,
    /// Of `frontier`.
    root: Hash,
    last: Hash,
    /// Intents without an outcome.
    pub(crate) open: BTreeSet<u64>,
    pub(crate) active: ActiveSegment<D::File>,
    rotation: SegmentRotation<D::File>,
    /// Completed segments that the publisher has not received yet.
    pub(crate) sealed: Vec<SealedSegment>,
    /// Whether the next segment could not be begun and the active one is as it was.
    has_reserve: bool,
    /// The segment that failed, and the offset, until another continues from it.
    failed: Option<(String, u64)>,
    buffer: FrameBuffer,
}

/// One record to be written.
struct Draft<'a> {
    time: RecordTime,
    body: &'a [u8],
    opens: bool,
    ends: Option<u64>,
}

impl<'a> Draft<'a> {
    const fn note(time: RecordTime, body: &'a [u8]) -> Self {
        Self { time, body, opens: false, ends: None }
    }
}

impl<D: Disk> Appender<D> {
    /// Makes a new log in an empty directory.
    pub(crate) fn create(disk: &D, layout: Layout, random: [u8; 32]) -> io::Result<()> {
        let [log, epoch] = halves(random);
        segment_rotation::first_segment(disk, layout, LogId(log), epoch)
    }

    /// Recovers the log and writes the start record.
    pub(crate) fn open(
        disk: D,
        path: &Path,
        layout: Layout,
        opening: &RunInfo,
    ) -> Result<(Self, Vec<OpenIntent>), OpenError> {
        let Recovered { log, active, chain, open_intents, removed } = recover(&disk, path)?;
        let mut this = Self {
            disk,
            layout,
            log,
            epoch: opening.epoch,
            frontier: chain.frontier,
            root: chain.root,
            last: chain.last,
            open: open_intents.iter().map(|intent| intent.receipt.seq).collect(),
            active,
            rotation: SegmentRotation::new(layout),
            sealed: Vec::new(),
            has_reserve: false,
            failed: None,
            buffer: FrameBuffer::default(),
        };
        let time = RecordTime::now();
        let boot = opening.epoch.first_chunk().copied().unwrap_or_default();
        let body = start_body(&opening.boot, &log.0, &boot, &opening.kernel_boot, time.mono_ns, removed);
        SegmentRotation::<D::File>::discard(&this.disk)
            .and_then(|()| this.frame(&[Draft::note(time, &body)], OPENING, Lane::Reserved))
            .map_err(|source| OpenError::Io {
                doing: "cannot write the start record of the audit log",
                path: path.to_owned(),
                source,
            })?;
        Ok((this, open_intents))
    }

    /// Makes a batch durable. On error none of it is acknowledged and nothing has changed in
    /// memory.
    pub(crate) fn append(&mut self, batch: &[QueuedRecord]) -> io::Result<Vec<Receipt>> {
        self.append_in(batch, Lane::Ordinary)
    }

    /// The same where no next segment can be begun: into the end of the active one, which is kept for that.
    pub(crate) fn append_reserved(&mut self, batch: &[QueuedRecord]) -> io::Result<Vec<Receipt>> {
        let appended = self.append_in(batch, Lane::Reserved);
        self.has_reserve = appended.is_ok();
        // The segment that continues from here names the new end of this one.
        if appended.is_ok() {
            self.failed = None;
        }
        appended
    }

    /// Whether [`append_reserved`](Self::append_reserved) may work after a failure.
    pub(crate) const fn has_reserve(&self) -> bool {
        self.has_reserve
    }

    fn append_in(&mut self, batch: &[QueuedRecord], lane: Lane) -> io::Result<Vec<Receipt>> {
        let drafts: Vec<_> = batch
            .iter()
            .map(|entry| {
                let (opens, ends) = match entry.ack {
                    AckKind::Intent { .. } => (true, None),
                    AckKind::Outcome { of, .. } => (false, Some(of)),
                    AckKind::Note { .. } => (false, None),
                };
                Draft { time: entry.time, body: &entry.body, opens, ends }
            })
            .collect();
        self.frame(&drafts, 0, lane)
    }

    /// Continues in a new segment that names the last acknowledged head; its first record has the
    /// cause.
    pub(crate) fn resume(&mut self, cause: &str) -> io::Result<()> {
        // No reader would find a segment in a directory that was moved away.
        self.disk.is_in_place()?;
        let active = || (self.active.name.clone(), self.active.offset);
        let (abandoned, offset) = self.failed.get_or_insert_with(active).clone();
        self.rotate(Reason::Failure)?;
        let body = resume_body(cause, &abandoned, offset);
        self.frame(&[Draft::note(RecordTime::now(), &body)], 0, Lane::Ordinary)?;
        self.failed = None;
        self.rotation.succeeded();
        Ok(())
    }

    /// Writes the stop record.
    pub(crate) fn stop(&mut self) -> io::Result<()> {
        self.frame(&[Draft::note(RecordTime::now(), &stop_body())], 0, Lane::Reserved).map(|_| ())
    }

    /// The last acknowledged head.
    pub(crate) fn head(&self) -> Head {
        Head { log: self.log, size: self.frontier.size(), record_hash: self.last, root: self.root }
    }

    /// All intents below this one are ended.
    pub(crate) fn open_from(&self) -> u64 {
        self.open.first().copied().unwrap_or(NONE)
    }

    fn frame(&mut self, drafts: &[Draft<'_>], flags: u8, lane: Lane) -> io::Result<Vec<Receipt>> {
        let (first, prev_hash) = (self.frontier.size(), self.last);
        let mut frontier = self.frontier.clone();
        let mut last = self.last;
        let mut receipts = Vec::with_capacity(drafts.len());
        let (mut opened, mut ended) = (Vec::new(), Vec::new());
        self.buffer.clear();
        for draft in drafts {
            let seq = frontier.size();
            let record = self.buffer.record(|out| {
                prefix(out, seq, draft.time);
                out.extend_from_slice(draft.body);
            });
            let view = View::of(record).ok_or_else(|| io::Error::other("a record is not in its form"))?;
            last = view.hash(&last);
            frontier.push(last);
            receipts.push(Receipt { seq, log: self.log, record_hash: last });
            opened.extend(draft.opens.then_some(seq));
            ended.extend(draft.ends);
        }
        let root = frontier.root();
        ended.sort_unstable();
        let open_from = self.open_from_after(&opened, &ended);
        let head = FrameHead { flags, epoch: self.epoch, count: 0, len: 0, first, open_from, prev_hash };
        self.buffer.finish(head, &root);
        let disk_bytes = u64::try_from(self.buffer.bytes().len()).unwrap_or(u64::MAX);

        let day = drafts.first().map_or(0, |draft| segment_rotation::day(draft.time.wall_ns));
        let day_over = self.layout.daily
            && day > segment_rotation::day(self.active.created_ns)
            && first > self.active.first;
        self.has_reserve = false;
        let is_full = self.active.offset + disk_bytes
            > self.active.bytes - segment_rotation::reserve(self.active.bytes);
        if (day_over || is_full)
            && let Err(error) = self.rotate(Reason::SegmentRotation)
        {
            self.has_reserve = true;
            if lane == Lane::Ordinary {
                return Err(error);
            }
        }
        let ActiveSegment { file, name, offset, bytes, .. } = &mut self.active;
        if *offset + disk_bytes > *bytes {
            return Err(io::Error::other("the batch does not fit a segment"));
        }
        commit(file, self.buffer.bytes(), *offset)?;
        // A file that was unlinked or swapped takes writes as before; only its name shows it.
        self.disk.verify_unchanged(name, file, *bytes)?;

        *offset += disk_bytes;
        self.frontier = frontier;
        self.root = root;
        self.last = last;
        self.open.extend(opened);
        for seq in ended {
            self.open.remove(&seq);
        }
        if self.active.offset > self.active.bytes / 2 {
            self.rotation.prepare(&self.disk);
        }
        Ok(receipts)
    }

    /// Continues in a new segment whose header names the last acknowledged head.
    fn rotate(&mut self, reason: Reason) -> io::Result<()> {
        let first = self.frontier.size();
        let previous = if first == self.active.first { self.active.previous } else { self.active.first };
        let header = SegmentHeader {
            reason,
            log: self.log,
            epoch: self.epoch,
            open_from: self.open_from(),
            created_ns: RecordTime::now().wall_ns,
            bytes: self.layout.segment_bytes,
            record_hash: self.last,
            previous,
            frontier: self.frontier.clone(),
        };
        let file = self.rotation.begin(&self.disk, &header)?;
        if first > self.active.first {
            self.sealed.push(SealedSegment { first: self.active.first, head: self.head() });
        }
        self.active = ActiveSegment {
            file,
            name: names::segment(first),
            first,
            previous,
            bytes: header.bytes,
            created_ns: header.created_ns,
            offset: HEADER_BYTES,
        };
        Ok(())
    }

    /// Waits for a preparation that is going on, so that nothing touches the directory any more.
    pub(crate) fn finish_rotation(&mut self) {
        self.rotation.finish();
    }

    /// [`open_from`](Self::open_from) as it will be when the batch is durable. `ended` is sorted.
    fn open_from_after(&self, opened: &[u64], ended: &[u64]) -> u64 {
        let gone = |seq: &&u64| ended.binary_search(seq).is_err();
        self.open.iter().find(gone).or_else(|| opened.first()).copied().unwrap_or(NONE)
    }
}

/// Two random values of 16 bytes from one of 32.
fn halves(random: [u8; 32]) -> [[u8; 16]; 2] {
    let (left, right) = random.split_at(16);
    [left, right].map(|half| half.try_into().unwrap_or_default())
}
