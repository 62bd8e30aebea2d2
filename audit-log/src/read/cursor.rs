//! A position in a log that moves forward through all segments that are there.

use std::time::Duration;

use super::chain::{Chain, Checked};
use super::frame_reader::{FrameEvent, FrameReader};
use super::source::{Segment, SegmentFile, Source};
use crate::format::corruption::ReadError;
use crate::format::merkle::Hash;
use crate::format::segment::HEADER_BYTES;

/// Reads the next frame of a file that may be written now: a partial frame is read again if the
/// file has just changed.
pub(crate) fn step_with_retry(
    file: &SegmentFile,
    reader: &mut FrameReader<'_, SegmentFile>,
    chain: &mut Chain,
    mut each: impl FnMut(&Checked<'_>),
) -> Result<FrameEvent, ReadError> {
    let mut left = 5;
    loop {
        match reader.step(chain, &mut each) {
            Err(ReadError::Corruption(fault))
                if left > 0 && fault.kind.may_be_unfinished() && is_fresh(file) =>
            {
                left -= 1;
                std::thread::sleep(Duration::from_millis(20));
                reader.reread();
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

/// A location in a log that moves forward, through all segments that are there.
pub(crate) struct Cursor {
    source: Source,
    location: Option<Location>,
    /// The next record to be passed on.
    next: u64,
}

struct Location {
    segment: Segment,
    chain: Chain,
    offset: u64,
}

/// The least number of records of one [`Cursor::advance`], if there are as many.
const STRETCH: usize = 1024;

impl Cursor {
    /// Before record `next`, or the oldest one that is there.
    pub(crate) const fn new(source: Source, next: u64) -> Self {
        Self { source, location: None, next }
    }

    /// Passes on some more records; false when there are none at present. Frames beyond the first
    /// `limit` records are not read.
    pub(crate) fn advance(
        &mut self,
        limit: u64,
        mut each: impl FnMut(&Checked<'_>),
    ) -> Result<bool, ReadError> {
        let firsts = self.source.firsts()?;
        let location = match &mut self.location {
            Some(location) => location,
            None => {
                // The segment that holds the record, else the oldest one that is there.
                let index = firsts.partition_point(|&first| first <= self.next).saturating_sub(1);
                let Some(&first) = firsts.get(index) else { return Ok(false) };
                let segment = self.source.segment(first)?;
                self.next = self.next.max(first);
                let chain = Chain::at(&segment.header);
                self.location.insert(Location { chain, offset: HEADER_BYTES, segment })
            }
        };
        let Location { segment: Segment { name, file, header }, chain, offset } = location;
        let following = firsts.iter().copied().find(|&first| first > header.first());
        let end = following.unwrap_or(u64::MAX).min(limit);
        let mut reader = FrameReader::at(file, name, header.bytes, *offset);
        let mut shown = 0;
        while chain.size() < end && shown < STRETCH {
            let next = &mut self.next;
            let step = step_with_retry(file, &mut reader, chain, |record| {
                if record.view.seq >= *next {
                    each(record);
                    shown += 1;
                    *next = record.view.seq + 1;
                }
            })?;
            let FrameEvent::Frame { .. } = step else { break };
            *offset = reader.offset;
        }
        if shown > 0 {
            return Ok(true);
        }
        match following {
            Some(following) if following < limit => {
                // Records of a failed write were never acknowledged; the next segment has their
                // numbers again.
                self.next = if chain.size() > following { following } else { self.next.max(following) };
                self.location = None;
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
    let mut reader = FrameReader::new(&file, &name, header.bytes);
    // Checkpoints end where a batch did; a forger's batches may end elsewhere.
    let mut inside = chain.frontier.clone();
    while chain.size() < size {
        inside.clone_from(&chain.frontier);
        let step = step_with_retry(&file, &mut reader, &mut chain, |record| {
            if record.view.seq < size {
                inside.push(record.hash);
            }
        })?;
        let FrameEvent::Frame { .. } = step else { return Ok(None) };
    }
    Ok(Some(inside.root()))
}
