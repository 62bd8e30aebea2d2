//! Gives records their place, chains them, makes them durable: one frame, one write, one `fdatasync` per batch.
//!
//! On any error nothing has changed in memory and the segment is not touched again; [`Appender::resume`] goes on in
//! a new one. Generic over the disk. Not for: threads and waiting (`writer`), what to do about errors (`writer`).

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::disk::{Disk, commit};
use super::frame::{FrameBuffer, FrameHead, OPENING};
use super::merkle::{Frontier, Hash, leaf_hash};
use super::published::Sealed;
use super::queue::{Entry, Role};
use super::record::{Stamp, prefix, resume_body, start_body, stop_body};
use super::recovery::{Active, Recovered, recover};
use super::rotation::{self, Spare};
use super::segment::{NONE, Reason};
use super::settings::{BootFacts, Head, LogId, OpenError, Receipt, Unsettled};

/// What the appender must know of the settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) segment_bytes: u64,
    pub(crate) daily: bool,
}

/// Who opens the log.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub(crate) boot: BootFacts,
    /// The kernel's boot id, which tells what `mono_ns` counts from.
    pub(crate) kernel_boot: String,
    /// Random, for this open only.
    pub(crate) epoch: [u8; 16],
}

/// The writing end of the log.
pub(crate) struct Appender<D: Disk> {
    pub(crate) disk: D,
    pub(crate) layout: Layout,
    pub(crate) log: LogId,
    pub(crate) epoch: [u8; 16],
    boot: [u8; 8],
    pub(crate) frontier: Frontier,
    /// Of `frontier`.
    root: Hash,
    pub(crate) last: Hash,
    /// Intents without an outcome.
    pub(crate) open: BTreeSet<u64>,
    pub(crate) active: Active<D::File>,
    pub(crate) spare: Spare<D::File>,
    /// Segments that were completed and that nobody has been told of.
    pub(crate) sealed: Vec<Sealed>,
    /// The segment that failed, and where, until another goes on from it.
    failed: Option<(String, u64)>,
    /// Whether the file under the name of the next segment is an attempt of ours to go on, which failed as well.
    pub(crate) attempted: bool,
    buffer: FrameBuffer,
}

/// One record to be written.
struct Draft<'a> {
    stamp: Stamp,
    body: &'a [u8],
    opens: bool,
    settles: Option<u64>,
}

impl<'a> Draft<'a> {
    const fn note(stamp: Stamp, body: &'a [u8]) -> Self {
        Self { stamp, body, opens: false, settles: None }
    }
}

impl<D: Disk> Appender<D> {
    /// Makes a new log in an empty directory.
    pub(crate) fn create(disk: &D, layout: Layout, random: [u8; 32]) -> io::Result<()> {
        let [log, epoch] = halves(random);
        rotation::first_segment(disk, layout, LogId(log), epoch)
    }

    /// Recovers the log and writes the start record.
    pub(crate) fn open(
        disk: D,
        path: &Path,
        layout: Layout,
        opening: &Opening,
    ) -> Result<(Self, Vec<Unsettled>), OpenError> {
        let Recovered { log, active, chain, unsettled, removed } = recover(&disk, path)?;
        let mut this = Self {
            disk,
            layout,
            log,
            epoch: opening.epoch,
            boot: opening.epoch.first_chunk().copied().unwrap_or_default(),
            frontier: chain.frontier,
            root: chain.root,
            last: chain.last,
            open: unsettled.iter().map(|unsettled| unsettled.receipt.seq).collect(),
            active,
            spare: Spare::default(),
            sealed: Vec::new(),
            failed: None,
            attempted: false,
            buffer: FrameBuffer::default(),
        };
        let body = start_body(&opening.boot, &log.0, &opening.kernel_boot, removed);
        this.discard_spare()
            .and_then(|()| this.frame(&[Draft::note(Stamp::now(), &body)], OPENING))
            .map_err(|source| OpenError::Io {
                doing: "cannot write the start record of the audit log",
                path: path.to_owned(),
                source,
            })?;
        Ok((this, unsettled))
    }

    /// Makes a batch durable. On error none of it is acknowledged and nothing has changed in memory.
    pub(crate) fn append(&mut self, batch: &[Entry]) -> io::Result<Vec<Receipt>> {
        let drafts: Vec<_> = batch
            .iter()
            .map(|entry| {
                let (opens, settles) = match entry.role {
                    Role::Intent { .. } => (true, None),
                    Role::Outcome { of, .. } => (false, Some(of)),
                    Role::Note { .. } => (false, None),
                };
                Draft { stamp: entry.stamp, body: &entry.body, opens, settles }
            })
            .collect();
        self.frame(&drafts, 0)
    }

    /// Goes on in a new segment that names the last acknowledged head, and says in its first record why.
    pub(crate) fn resume(&mut self, cause: &str) -> io::Result<()> {
        // Where nobody finds the directory, a segment in it would be one more file for nothing.
        self.disk.is_in_place()?;
        let active = || (self.active.name.clone(), self.active.offset);
        let (abandoned, offset) = self.failed.get_or_insert_with(active).clone();
        self.rotate(Reason::Failure)?;
        let body = resume_body(cause, &abandoned, offset);
        self.frame(&[Draft::note(Stamp::now(), &body)], 0)?;
        (self.failed, self.attempted) = (None, false);
        Ok(())
    }

    /// Writes the stop record.
    pub(crate) fn stop(&mut self) -> io::Result<()> {
        self.frame(&[Draft::note(Stamp::now(), &stop_body())], 0).map(|_| ())
    }

    /// The last acknowledged head.
    pub(crate) fn head(&self) -> Head {
        Head { log: self.log, size: self.frontier.size(), record_hash: self.last, root: self.root }
    }

    /// All intents below this one are settled.
    pub(crate) fn open_from(&self) -> u64 {
        self.open.first().copied().unwrap_or(NONE)
    }

    fn frame(&mut self, drafts: &[Draft<'_>], flags: u8) -> io::Result<Vec<Receipt>> {
        let (first, prev_root) = (self.frontier.size(), self.root);
        let mut frontier = self.frontier.clone();
        let mut last = self.last;
        let mut receipts = Vec::with_capacity(drafts.len());
        let (mut opened, mut settled) = (Vec::new(), Vec::new());
        self.buffer.clear();
        for draft in drafts {
            let seq = frontier.size();
            let record = self.buffer.record(|out| {
                prefix(out, seq, &last, draft.stamp, &self.boot);
                out.extend_from_slice(draft.body);
            });
            last = leaf_hash(record);
            frontier.push(last);
            receipts.push(Receipt { seq, log: self.log, record_hash: last });
            opened.extend(draft.opens.then_some(seq));
            settled.extend(draft.settles);
        }
        let root = frontier.root();
        settled.sort_unstable();
        let open_from = self.open_from_after(&opened, &settled);
        let head = FrameHead { flags, epoch: self.epoch, count: 0, len: 0, first, open_from, prev_root };
        self.buffer.finish(head, &root);
        let disk_bytes = u64::try_from(self.buffer.bytes().len()).unwrap_or(u64::MAX);

        let day = drafts.first().map_or(0, |draft| rotation::day(draft.stamp.wall_ns));
        let day_over =
            self.layout.daily && day > rotation::day(self.active.created_ns) && first > self.active.first;
        if day_over || self.active.offset + disk_bytes > self.active.bytes {
            self.rotate(Reason::Rotation)?;
        }
        let Active { file, name, offset, bytes, .. } = &mut self.active;
        if *offset + disk_bytes > *bytes {
            return Err(io::Error::other("the batch does not fit a segment"));
        }
        commit(file, self.buffer.bytes(), *offset)?;
        // A file that was unlinked or swapped takes writes as before; only its name shows it.
        self.disk.still_there(name, file, *bytes)?;

        *offset += disk_bytes;
        self.frontier = frontier;
        self.root = root;
        self.last = last;
        self.open.extend(opened);
        for seq in settled {
            self.open.remove(&seq);
        }
        self.prepare_spare();
        Ok(receipts)
    }

    /// [`open_from`](Self::open_from) as it will be when the batch is durable. `settled` is sorted.
    fn open_from_after(&self, opened: &[u64], settled: &[u64]) -> u64 {
        let gone = |seq: &&u64| settled.binary_search(seq).is_err();
        self.open.iter().find(gone).or_else(|| opened.first()).copied().unwrap_or(NONE)
    }
}

/// Two random values of 16 bytes from one of 32.
fn halves(random: [u8; 32]) -> [[u8; 16]; 2] {
    let (left, right) = random.split_at(16);
    [left, right].map(|half| half.try_into().unwrap_or_default())
}
