//! Recovery at open: checks the log, removes a torn write, finds the intents without an outcome.
//!
//! No record is accepted before the log is durable as it was read. Not for: writing new records
//! (`appender`).

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::error::OpenError;
use crate::format::corruption::ReadError;
use crate::format::head::Receipt;
use crate::format::log_id::LogId;
use crate::format::names;
use crate::format::segment::{NONE, SegmentHeader};
use crate::format::view::RecordRole;
use crate::read::chain::{Chain, Checked};
use crate::read::frame_reader::{FrameEvent, FrameReader};
use crate::read::source::header_of;
use crate::storage::disk::{Disk, DiskFile, commit};

/// An intent of an earlier run without an outcome: finish or undo the operation, then record that.
#[derive(Clone, Debug)]
pub struct OpenIntent {
    /// The place of the intent.
    pub receipt: Receipt,
    /// The operation's name.
    pub operation: String,
    /// The whole record: `key`, `input`, `actor`, `request` as they were written.
    pub record: serde_json::Value,
}

impl OpenIntent {
    /// A text member by its path, e.g. `/key/eoa` or `/key/id`.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.record.pointer(pointer)?.as_str()
    }
}

/// A segment that can be written.
pub(crate) struct ActiveSegment<F> {
    pub(crate) file: F,
    pub(crate) name: String,
    pub(crate) first: u64,
    pub(crate) previous: u64,
    pub(crate) bytes: u64,
    pub(crate) created_ns: u64,
    /// Where the next frame goes.
    pub(crate) offset: u64,
}

/// The log after recovery.
pub(crate) struct Recovered<F> {
    pub(crate) log: LogId,
    pub(crate) active: ActiveSegment<F>,
    pub(crate) chain: Chain,
    pub(crate) open_intents: Vec<OpenIntent>,
    /// Bytes of a torn write that were removed.
    pub(crate) removed: u64,
}

/// A segment and its header.
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) header: SegmentHeader,
}

/// Opens the log in `disk`; `path` is for messages.
pub(crate) fn recover<D: Disk>(disk: &D, path: &Path) -> Result<Recovered<D::File>, OpenError> {
    let failed = |error| open_error(path, error);
    let listed = list(disk, path)?;
    let Some(last) = listed.last() else { return Err(OpenError::Missing { path: path.to_owned() }) };
    let file = disk.open(&last.name).map_err(|source| failed(read_error(&last.name, source)))?;

    let mut chain = Chain::at(&last.header);
    let mut open = BTreeMap::new();
    let mut reader = FrameReader::new(&file, &last.name, last.header.bytes);
    let mut last_frame = None;
    let torn = loop {
        match reader.step(&mut chain, |record| track(&mut open, record)).map_err(failed)? {
            FrameEvent::Frame { offset, disk_bytes } => last_frame = Some((offset, disk_bytes)),
            FrameEvent::End => break None,
            FrameEvent::Torn { to } => break Some(to),
        }
    };
    let offset = reader.offset;
    let end = torn.unwrap_or(0).max(offset.saturating_add(REACH)).min(last.header.bytes);
    rewrite_tail(&file, offset, end, last_frame).map_err(|source| failed(read_error(&last.name, source)))?;
    // Names that an earlier run could not make durable must be, before anything builds on them.
    disk.sync_names().map_err(|source| failed(read_error(&last.name, source)))?;

    let open_from = chain.open_from;
    open.retain(|&seq, _| seq >= open_from);
    if open_from < last.header.first() {
        older_intents(disk, &listed, open_from, &mut open).map_err(failed)?;
    }
    let log = last.header.log;
    let open_intents = open.into_iter().map(|(seq, found)| found.into_open_intent(seq, log)).collect();
    let active = ActiveSegment {
        file,
        name: last.name.clone(),
        first: last.header.first(),
        previous: last.header.previous,
        bytes: last.header.bytes,
        created_ns: last.header.created_ns,
        offset,
    };
    let removed = torn.map_or(0, |to| to.saturating_sub(offset));
    Ok(Recovered { log, active, chain, open_intents, removed })
}

/// All segments by their first record; refuses two logs in one directory.
fn list<D: Disk>(disk: &D, path: &Path) -> Result<Vec<Listed>, OpenError> {
    let failed = |error| open_error(path, error);
    let names = disk.names().map_err(|source| failed(read_error("directory", source)))?;
    let mut listed: Vec<Listed> = Vec::new();
    for name in names.into_iter().filter(|name| names::first_of(name).is_some()) {
        let header = disk
            .open(&name)
            .map_err(|source| read_error(&name, source))
            .and_then(|file| header_of(&file, &name))
            .map_err(failed)?;
        if let Some(first) = listed.first().filter(|first| first.header.log != header.log) {
            let (path, first, second) = (path.to_owned(), first.header.log, header.log);
            return Err(OpenError::Mixed { path, first, second });
        }
        listed.push(Listed { name, header });
    }
    listed.sort_by_key(|listed| listed.header.first());
    Ok(listed)
}

/// No write reaches further than this: a batch of 1 MiB, its frame, and a reserve.
const REACH: u64 = (1 << 20) + (64 << 10);

/// Removes what a cut write left up to `end`, and writes the last good frame once more.
///
/// Both may stand in the page cache only: when an `fdatasync` failed, the kernel may have marked
/// pages clean that it had not written. So zeros that are read behind the last frame are not
/// believed either (an earlier removal may have failed) and are written again, as far as a write
/// can have reached. Everything before the last frame was followed by another write and is durable.
fn rewrite_tail<F: DiskFile>(
    file: &F,
    offset: u64,
    end: u64,
    last_frame: Option<(u64, usize)>,
) -> io::Result<()> {
    let count = usize::try_from(end.saturating_sub(offset)).map_err(io::Error::other)?;
    commit(file, &vec![0; count], offset)?;
    let (at, count) = last_frame.unwrap_or((0, 4096));
    let mut bytes = vec![0; count];
    file.read_at(&mut bytes, at)?;
    commit(file, &bytes, at)
}

/// An intent that has no outcome so far.
struct Found {
    record: String,
    hash: [u8; 32],
}

impl Found {
    fn into_open_intent(self, seq: u64, log: LogId) -> OpenIntent {
        let record: serde_json::Value = serde_json::from_str(&self.record).unwrap_or_default();
        let operation = record.get("op").and_then(|op| op.as_str()).unwrap_or_default().to_owned();
        OpenIntent { receipt: Receipt { seq, log, record_hash: self.hash }, operation, record }
    }
}

fn track(open: &mut BTreeMap<u64, Found>, record: &Checked<'_>) {
    match record.view.role() {
        RecordRole::Opens => {
            open.insert(record.view.seq, Found { record: record.text(), hash: record.hash });
        }
        RecordRole::Ends(intent) => {
            open.remove(&intent);
        }
        RecordRole::Neutral => {}
    }
}

/// Adds the intents from `open_from` on in older segments that have no outcome.
fn older_intents<D: Disk>(
    disk: &D,
    listed: &[Listed],
    open_from: u64,
    open: &mut BTreeMap<u64, Found>,
) -> Result<(), ReadError> {
    let start = listed.partition_point(|listed| listed.header.first() <= open_from).saturating_sub(1);
    // From the beginning again, so that outcomes in later segments end the intents of earlier ones.
    open.clear();
    for (index, Listed { name, header }) in listed.iter().enumerate().skip(start) {
        let end = listed.get(index + 1).map_or(NONE, |next| next.header.first());
        let file = disk.open(name).map_err(|source| read_error(name, source))?;
        let mut chain = Chain::at(header);
        let mut reader = FrameReader::new(&file, name, header.bytes);
        while chain.size() < end {
            let FrameEvent::Frame { .. } = reader.step(&mut chain, |record| track(open, record))? else {
                break;
            };
        }
        if end != NONE && chain.size() < end {
            tracing::warn!(segment = %name, from = chain.size(), to = end, "audit records are not here");
        }
    }
    open.retain(|&seq, _| seq >= open_from);
    Ok(())
}

fn read_error(segment: &str, source: io::Error) -> ReadError {
    ReadError::Io { segment: segment.to_owned(), source }
}

/// A [`ReadError`] as the reason why a log was not opened.
pub(crate) fn open_error(path: &Path, error: ReadError) -> OpenError {
    match error {
        ReadError::Corruption(fault) => OpenError::Damaged { path: path.to_owned(), fault },
        ReadError::Format { found, .. } => OpenError::Format { path: path.to_owned(), found },
        ReadError::Io { segment, source } => OpenError::Io {
            doing: "cannot read, write or sync the audit log",
            path: path.join(segment),
            source,
        },
    }
}
