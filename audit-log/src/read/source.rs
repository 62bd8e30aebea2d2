//! Reads the records of a log, of a copy or beside the running service, without its lock.
//!
//! Every record is checked before it is given out. Not for: a verdict on the whole log (`verify`).

use std::fs::File;
use std::io;
use std::path::Path;

use crate::format::corruption::{Corruption, CorruptionKind, ReadError, io_error};
use crate::format::names;
use crate::format::segment::{HEADER_BYTES, HeaderError, SegmentHeader};
use crate::storage::compressed::CompressedSegment;
use crate::storage::directory::ReadOnly;
use crate::storage::disk::DiskFile;

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
        let mut firsts: Vec<_> = names.iter().filter_map(|name| names::any_first_of(name)).collect();
        // Both forms of one segment are there for a moment, or after a crash, while it is
        // compressed.
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
        let name = names::segment(first);
        match self.directory.file(&name) {
            Ok(file) => Ok((name, SegmentFile::Plain(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let name = names::compressed(first);
                let file = self.directory.file(&name).and_then(CompressedSegment::open);
                let file = file.map_err(|error| ReadError::of(&name, first, 0, error))?;
                Ok((name, SegmentFile::CompressedSegment(file)))
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
    CompressedSegment(CompressedSegment),
}

impl DiskFile for SegmentFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Self::Plain(file) => DiskFile::read_at(file, buffer, offset),
            Self::CompressedSegment(file) => file.read_at(buffer, offset),
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
            Self::CompressedSegment(file) => file.bytes(),
        }
    }
}

/// Reads and checks the header of one segment.
pub(crate) fn header_of<F: DiskFile>(file: &F, name: &str) -> Result<SegmentHeader, ReadError> {
    let first = names::any_first_of(name).unwrap_or_default();
    let fault = |kind| Corruption { seq: first, segment: name.to_owned(), offset: 0, kind };
    let io = |source| ReadError::of(name, first, 0, source);
    let bytes = file.bytes().map_err(io)?;
    if bytes < HEADER_BYTES {
        return Err(fault(CorruptionKind::SegmentSize).into());
    }
    let mut block = vec![0; 4096];
    file.read_at(&mut block, 0).map_err(io)?;
    let header = SegmentHeader::decode(&block).map_err(|error| match error {
        HeaderError::Damaged => fault(CorruptionKind::SegmentHeader).into(),
        HeaderError::Format(found) => ReadError::Format { segment: name.to_owned(), found },
    })?;
    if header.first() != first {
        return Err(fault(CorruptionKind::SegmentHeader).into());
    }
    if header.bytes != bytes {
        return Err(fault(CorruptionKind::SegmentSize).into());
    }
    Ok(header)
}
