//! Kinds of corruption of a log, with their place.

use std::fmt;
use std::io;

use thiserror::Error;

use crate::format::segment::FORMAT;

/// The first corruption of a log: the record, and the place of its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("record {seq} ({segment}, byte {offset}): {kind}")]
pub struct Corruption {
    /// The number of the first record that is damaged or missing.
    pub seq: u64,
    /// The file.
    pub segment: String,
    /// Offset of the frame that should hold it.
    pub offset: u64,
    /// What is wrong.
    pub kind: CorruptionKind,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CorruptionKind {
    /// The segment's own header.
    SegmentHeader,
    /// The file is shorter or longer than its header says.
    SegmentSize,
    /// The segment names another head than the records before it have.
    SegmentHead,
    /// Two segments hold the same records.
    Overlap,
    /// A frame's head.
    FrameHead,
    /// The bytes of a record are not those that were written.
    Content,
    /// The bytes between records, or the frame's checksum, root or padding.
    Frame,
    /// A frame is missing and later ones are there.
    Missing,
    /// Another number than the next one.
    Sequence {
        /// The number that was found.
        found: u64,
    },
    /// The frame does not name the hash of the record before it.
    Chain,
    /// The Merkle root does not fit the records.
    Root,
    /// The frame is from another run of the service.
    Epoch,
    /// Not a record of this program.
    Form,
    /// Bytes after the last frame of a segment that was completed.
    Trailing,
    /// The log ends before a record that a checkpoint or receipt names.
    Truncated {
        /// The least number of records.
        expected: u64,
    },
    /// The records are not those that a checkpoint or receipt was made for.
    Forked,
    /// The compressed form of a segment cannot be read back.
    Compressed,
    /// The records that a checkpoint was made for are in a segment that is not here.
    Absent,
}

impl CorruptionKind {
    /// Whether a write in progress looks the same to a reader.
    pub(crate) const fn may_be_unfinished(self) -> bool {
        matches!(self, Self::Content | Self::Frame | Self::FrameHead | Self::Missing)
    }
}

impl fmt::Display for CorruptionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::SegmentHeader => "the header of the segment is damaged",
            Self::SegmentSize => "the file does not have the size that its header says",
            Self::SegmentHead => "the segment does not continue from the head of the records before it",
            Self::Overlap => "two segments hold the same records",
            Self::FrameHead => "the head of its frame is damaged",
            Self::Content => "its bytes are not those that were written",
            Self::Frame => "its frame is damaged around the records",
            Self::Missing => "its frame is missing, although later ones are there",
            Self::Sequence { found } => return write!(f, "record {found} is in its place"),
            Self::Chain => "its frame does not follow the record before it: one of the two was changed",
            Self::Root => "the Merkle root of its frame does not fit the records",
            Self::Epoch => "its frame was written by another run of the service than its place says",
            Self::Form => "it is not a record of this program",
            Self::Trailing => "there are bytes after the last frame of a completed segment",
            Self::Truncated { expected } => {
                return write!(f, "the log ends here, but it had at least {expected} records");
            }
            Self::Compressed => "the compressed segment is damaged from here on",
            Self::Absent => "the segment with the last records of the checkpoint is not here",
            Self::Forked => "the log is not the one that the checkpoint or receipt was made for",
        };
        f.write_str(words)
    }
}

/// Why reading a log stopped.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The log is damaged.
    #[error(transparent)]
    Corruption(#[from] Corruption),
    /// Another version of the program wrote it.
    #[error(
        "{segment} was written by avs-kms 0.1, in format {found} of the audit log; this version reads format {FORMAT} only"
    )]
    Format {
        /// The file.
        segment: String,
        /// The format in its header.
        found: u32,
    },
    /// The disk cannot be read.
    #[error("cannot read {segment}")]
    Io {
        /// The file, or the directory.
        segment: String,
        /// The error of the system.
        source: io::Error,
    },
}

impl ReadError {
    /// Whether it is a corruption of this kind.
    pub(crate) fn is(&self, kind: CorruptionKind) -> bool {
        matches!(self, Self::Corruption(fault) if fault.kind == kind)
    }

    /// The error of a failed read: bytes that cannot be right are corruption, everything else is an
    /// I/O error.
    pub(crate) fn of(segment: &str, seq: u64, offset: u64, source: io::Error) -> Self {
        let segment = segment.to_owned();
        if source.kind() == io::ErrorKind::InvalidData {
            return Corruption { seq, segment, offset, kind: CorruptionKind::Compressed }.into();
        }
        Self::Io { segment, source }
    }
}

pub(crate) fn io_error(segment: &str, source: io::Error) -> ReadError {
    ReadError::Io { segment: segment.to_owned(), source }
}
