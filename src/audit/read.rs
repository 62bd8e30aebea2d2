//! Reads the records of a log, of a copy or beside the running service, without its lock.
//!
//! Every record is checked before it is given out. Not for: a verdict on the whole log (`verify`).

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::chain::{Chain, Checked};
use super::disk::{DiskFile, ReadOnly};
use super::fault::ReadError;
use super::merkle::Hash;
use super::packed::Packed;
use super::recovery::header_of;
use super::segment::{self, SegmentHeader};
use super::walk::{Step, Walk};

/// A directory with segments, read only.
pub(crate) struct Source {
    directory: ReadOnly,
}

impl Source {
    /// Opens the directory.
    pub(crate) fn open(path: &Path) -> Result<Self, ReadError> {
        let directory = ReadOnly::open(path).map_err(|error| io_error(&path.to_string_lossy(), error))?;
        Ok(Self { directory })
    }

    /// The first record of each segment, in order.
    pub(crate) fn firsts(&self) -> Result<Vec<u64>, ReadError> {
        let names = self.directory.names().map_err(|error| io_error("the directory", error))?;
        let mut firsts: Vec<_> = names.iter().filter_map(|name| segment::any_first_of(name)).collect();
        // Both forms of one segment are there for a moment, or after a crash, while it is compressed.
        firsts.dedup();
        Ok(firsts)
    }

    /// The bytes of all segments.
    pub(crate) fn total_bytes(&self) -> u64 {
        let firsts = self.firsts().unwrap_or_default();
        firsts.into_iter().filter_map(|first| self.file(first).ok()?.1.bytes().ok()).sum()
    }

    /// The file of a segment, or of its compressed form.
    fn file(&self, first: u64) -> Result<(String, SegmentFile), ReadError> {
        let name = segment::name(first);
        match self.directory.file(&name) {
            Ok(file) => Ok((name, SegmentFile::Plain(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let name = segment::packed_name(first);
                let file = self.directory.file(&name).and_then(Packed::open);
                let file = file.map_err(|error| ReadError::of(&name, first, 0, error))?;
                Ok((name, SegmentFile::Packed(file)))
            }
            Err(error) => Err(io_error(&name, error)),
        }
    }

    /// A segment and its header.
    pub(crate) fn segment(&self, first: u64) -> Result<Segment, ReadError> {
        let (name, file) = self.file(first)?;
        let header = header_of(&file, &name)?;
        Ok(Segment { name, file, header })
    }
}

/// An open segment.
pub(crate) struct Segment {
    pub(crate) name: String,
    pub(crate) file: SegmentFile,
    pub(crate) header: SegmentHeader,
}

/// A segment as it was written, or compressed.
pub(crate) enum SegmentFile {
    Plain(File),
    Packed(Packed),
}

impl DiskFile for SegmentFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Self::Plain(file) => DiskFile::read_at(file, buffer, offset),
            Self::Packed(file) => file.read_at(buffer, offset),
        }
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn bytes(&self) -> io::Result<u64> {
        match self {
            Self::Plain(file) => file.bytes(),
            Self::Packed(file) => file.bytes(),
        }
    }
}

pub(crate) fn io_error(segment: &str, source: io::Error) -> ReadError {
    ReadError::Io { segment: segment.to_owned(), source }
}

/// Takes a step where the file may be being written: a frame that is only half there is looked at again, if anybody
/// wrote to the file just now.
pub(crate) fn patient_step(
    file: &SegmentFile,
    walk: &mut Walk<'_, SegmentFile>,
    chain: &mut Chain,
    mut each: impl FnMut(&Checked<'_>),
) -> Result<Step, ReadError> {
    let mut left = 5;
    loop {
        match walk.step(chain, &mut each) {
            Err(ReadError::Fault(fault))
                if left > 0 && fault.damage.may_be_unfinished() && is_fresh(file) =>
            {
                left -= 1;
                std::thread::sleep(Duration::from_millis(20));
                walk.reread();
            }
            step => return step,
        }
    }
}

fn is_fresh(file: &SegmentFile) -> bool {
    let SegmentFile::Plain(file) = file else { return false };
    let written = file.metadata().and_then(|metadata| metadata.modified());
    written.is_ok_and(|time| time.elapsed().is_ok_and(|age| age < Duration::from_secs(2)))
}

/// A place in a log that moves forward, through all segments that are there.
pub(crate) struct Cursor {
    source: Source,
    place: Option<Place>,
    /// The next record to be shown.
    next: u64,
}

struct Place {
    segment: Segment,
    chain: Chain,
    offset: u64,
}

/// How many records one [`Cursor::advance`] shows at least, if there are so many.
const STRETCH: usize = 1024;

impl Cursor {
    /// Before record `next`, or the oldest one that is there.
    pub(crate) const fn new(source: Source, next: u64) -> Self {
        Self { source, place: None, next }
    }

    /// Shows some more records; false when there are none at present. Frames that reach beyond `limit` records are
    /// not looked at.
    pub(crate) fn advance(
        &mut self,
        limit: u64,
        mut each: impl FnMut(&Checked<'_>),
    ) -> Result<bool, ReadError> {
        let firsts = self.source.firsts()?;
        let place = match &mut self.place {
            Some(place) => place,
            None => {
                // The segment that holds the record, else the oldest one that is there.
                let index = firsts.partition_point(|&first| first <= self.next).saturating_sub(1);
                let Some(&first) = firsts.get(index) else { return Ok(false) };
                let segment = self.source.segment(first)?;
                self.next = self.next.max(first);
                let chain = Chain::at(&segment.header);
                self.place.insert(Place { chain, offset: segment::HEADER_BYTES, segment })
            }
        };
        let Place { segment: Segment { name, file, header }, chain, offset } = place;
        let following = firsts.iter().copied().find(|&first| first > header.first());
        let end = following.unwrap_or(u64::MAX).min(limit);
        let mut walk = Walk::at(file, name, header.bytes, *offset);
        let mut shown = 0;
        while chain.size() < end && shown < STRETCH {
            let next = &mut self.next;
            let step = patient_step(file, &mut walk, chain, |record| {
                if record.view.seq >= *next {
                    each(record);
                    shown += 1;
                    *next = record.view.seq + 1;
                }
            })?;
            let Step::Frame { .. } = step else { break };
            *offset = walk.offset;
        }
        if shown > 0 {
            return Ok(true);
        }
        match following {
            Some(following) if following < limit => {
                // What was read of a failed write, if anything, was never acknowledged: the next segment says it anew.
                self.next = if chain.size() > following { following } else { self.next.max(following) };
                self.place = None;
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// The root over the first `size` records; `None` when they end in a segment that is not here.
pub(crate) fn root_at(source: &Source, size: u64) -> Result<Option<Hash>, ReadError> {
    let firsts = source.firsts()?;
    let at_or_before = firsts.partition_point(|&first| first <= size).saturating_sub(1);
    let Some(&first) = firsts.get(at_or_before).filter(|&&first| first <= size) else { return Ok(None) };
    let Segment { name, file, header } = source.segment(first)?;
    let mut chain = Chain::at(&header);
    let mut walk = Walk::new(&file, &name, header.bytes);
    // Checkpoints end where a batch did; a forger's batches may end elsewhere.
    let mut inside = chain.frontier.clone();
    while chain.size() < size {
        inside.clone_from(&chain.frontier);
        let step = patient_step(&file, &mut walk, &mut chain, |record| {
            if record.view.seq < size {
                inside.push(record.hash);
            }
        })?;
        let Step::Frame { .. } = step else { return Ok(None) };
    }
    Ok(Some(inside.root()))
}
