//! Reads the records of a log as lines of JSON, of a copy or beside the running service, without its lock.
//!
//! Every line is checked before it is given out. Not for: a verdict on the whole log (`verify`).

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::chain::Chain;
use super::disk::ReadOnly;
use super::fault::ReadError;
use super::recovery::header_of;
use super::segment::{self, SegmentHeader};
use super::walk::{Step, Walk};

/// One record as it was written, without a line end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number.
    pub seq: u64,
    /// The JSON object.
    pub json: String,
}

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
        Ok(names.iter().filter_map(|name| segment::first_of(name)).collect())
    }

    /// The bytes of all segments.
    pub(crate) fn total_bytes(&self) -> u64 {
        let firsts = self.firsts().unwrap_or_default();
        let sizes = firsts.into_iter().filter_map(|first| {
            let file = self.directory.file(&segment::name(first)).ok()?;
            Some(file.metadata().ok()?.len())
        });
        sizes.sum()
    }

    /// A segment and its header.
    pub(crate) fn segment(&self, first: u64) -> Result<Segment, ReadError> {
        let name = segment::name(first);
        let file = self.directory.file(&name).map_err(|error| io_error(&name, error))?;
        let header = header_of(&file, &name)?;
        Ok(Segment { name, file, header })
    }
}

/// An open segment.
pub(crate) struct Segment {
    pub(crate) name: String,
    pub(crate) file: File,
    pub(crate) header: SegmentHeader,
}

pub(crate) fn io_error(segment: &str, source: io::Error) -> ReadError {
    ReadError::Io { segment: segment.to_owned(), source }
}

/// Takes a step where the file may be being written: a frame that is only half there is looked at again, if anybody
/// wrote to the file just now.
pub(crate) fn patient_step(
    file: &File,
    walk: &mut Walk<'_, File>,
    chain: &mut Chain,
    mut each: impl FnMut(&super::chain::Checked<'_>),
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

fn is_fresh(file: &File) -> bool {
    let written = file.metadata().and_then(|metadata| metadata.modified());
    written.is_ok_and(|time| time.elapsed().is_ok_and(|age| age < Duration::from_secs(2)))
}

/// The lines of a log from some record on. Ends at the log's end, or waits there when it follows.
pub struct Lines {
    source: Source,
    place: Option<Place>,
    next: u64,
    follow: Option<Duration>,
    ready: VecDeque<Line>,
    failed: bool,
}

struct Place {
    segment: Segment,
    chain: Chain,
    offset: u64,
}

/// The lines from record `from` on; the first one may be later when older segments are not there. With `follow` the
/// iterator waits at the end and looks for new records that often.
///
/// # Errors
/// When the directory cannot be read.
pub fn lines(directory: &Path, from: u64, follow: Option<Duration>) -> Result<Lines, ReadError> {
    let source = Source::open(directory)?;
    Ok(Lines { source, place: None, next: from, follow, ready: VecDeque::new(), failed: false })
}

/// The last `count` lines; with `follow` what comes after them, too.
///
/// # Errors
/// When the log cannot be read up to its end.
pub fn tail(directory: &Path, count: u64, follow: Option<Duration>) -> Result<Lines, ReadError> {
    let source = Source::open(directory)?;
    let mut size = 0;
    if let Some(&last) = source.firsts()?.last() {
        let Segment { name, file, header } = source.segment(last)?;
        let mut chain = Chain::at(&header);
        let mut walk = Walk::new(&file, &name, header.bytes);
        while let Step::Frame { .. } = patient_step(&file, &mut walk, &mut chain, |_| ())? {}
        size = chain.size();
    }
    lines(directory, size.saturating_sub(count), follow)
}

impl Lines {
    /// Reads the next frame's records into `ready`; false at the end.
    fn fill(&mut self) -> Result<bool, ReadError> {
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
        let (next, ready) = (self.next, &mut self.ready);
        let following = firsts.iter().copied().find(|&first| first > header.first());
        let mut walk = Walk::at(file, name, header.bytes, *offset);
        while following.is_none_or(|following| chain.size() < following) {
            let step = patient_step(file, &mut walk, chain, |record| {
                if record.view.seq >= next {
                    let json = String::from_utf8_lossy(record.bytes).into_owned();
                    ready.push_back(Line { seq: record.view.seq, json });
                }
            })?;
            let Step::Frame { .. } = step else { break };
            *offset = walk.offset;
            if ready.len() >= 1024 {
                break;
            }
        }
        if let Some(last) = ready.back() {
            self.next = last.seq + 1;
            return Ok(true);
        }
        if let Some(following) = following {
            self.place = None;
            self.next = self.next.max(following);
            return Ok(true);
        }
        Ok(false)
    }
}

impl Iterator for Lines {
    type Item = Result<Line, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.failed {
            if let Some(line) = self.ready.pop_front() {
                return Some(Ok(line));
            }
            match self.fill() {
                Ok(true) => {}
                Ok(false) => std::thread::sleep(self.follow?),
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}
