//! Segment header, the first 4 KiB of a segment file: the log, and the head that the segment
//! continues from.
//!
//! With the subtree roots in its header a segment can be extended and checked when all older ones
//! were moved away. Big-endian, format 2:
//!
//! ```text
//! "AVSKLOG1" | format u32 | reason u32 | log 16 | epoch 16 | first u64 | open_from u64 | created_ns u64 | bytes u64
//! | record_hash 32 | previous u64 | n u32 | n × subtree root 32 | zeros … 4092 | crc32c u32
//! ```
//!
//! Not for: the frames that follow (`frame`).

use crate::format::bytes::Fields;
use crate::format::log_id::LogId;
use crate::format::merkle::{Frontier, Hash};

/// The size of the header, and where the first frame begins.
pub(crate) const HEADER_BYTES: u64 = 4096;
/// The value for "none" in a number of the format.
pub(crate) const NONE: u64 = u64::MAX;
const MAGIC: [u8; 8] = *b"AVSKLOG1";
pub(crate) const FORMAT: u32 = 2;

/// Why a segment was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The log was created.
    First,
    /// The one before was full, or its day was over.
    SegmentRotation,
    /// The one before failed: what it holds from this segment's first record on was never
    /// acknowledged.
    Failure,
}

/// Why a header cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// Not the bytes that were written.
    Damaged,
    /// Whole, and of another format than this program reads.
    Format(u32),
}

/// The header, read or to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) reason: Reason,
    pub(crate) log: LogId,
    /// Of the process that made the segment.
    pub(crate) epoch: [u8; 16],
    /// All intents below this one had an outcome when the segment was made; [`NONE`] when all had.
    pub(crate) open_from: u64,
    pub(crate) created_ns: u64,
    /// The size of the file.
    pub(crate) bytes: u64,
    /// The hash of the record before the first one.
    pub(crate) record_hash: Hash,
    /// The first record of the segment before, or [`NONE`]: tells a segment that is not here from
    /// one that was cut.
    pub(crate) previous: u64,
    /// The tree before the first record; its size is the first record's number.
    pub(crate) frontier: Frontier,
}

impl SegmentHeader {
    /// The number of the first record.
    pub(crate) const fn first(&self) -> u64 {
        self.frontier.size()
    }

    /// The 4 KiB.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let reason: u32 = match self.reason {
            Reason::First => 0,
            Reason::SegmentRotation => 1,
            Reason::Failure => 2,
        };
        let roots = self.frontier.roots();
        let mut out = Vec::with_capacity(4096);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&FORMAT.to_be_bytes());
        out.extend_from_slice(&reason.to_be_bytes());
        out.extend_from_slice(&self.log.0);
        out.extend_from_slice(&self.epoch);
        for number in [self.first(), self.open_from, self.created_ns, self.bytes] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&self.record_hash);
        out.extend_from_slice(&self.previous.to_be_bytes());
        // At most 64: one root for each bit of the size.
        out.extend_from_slice(&u32::try_from(roots.len()).unwrap_or_default().to_be_bytes());
        for root in roots {
            out.extend_from_slice(root);
        }
        out.resize(4092, 0);
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_be_bytes());
        out
    }

    /// Reads a header.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let (content, crc) = bytes.split_last_chunk::<4>().ok_or(HeaderError::Damaged)?;
        let mut fields = Fields(content);
        let whole = content.len() == 4092 && crc32c::crc32c(content).to_be_bytes() == *crc;
        if !whole || fields.array() != Some(MAGIC) {
            return Err(HeaderError::Damaged);
        }
        match fields.u32() {
            Some(FORMAT) => Self::fields(fields).ok_or(HeaderError::Damaged),
            Some(found) => Err(HeaderError::Format(found)),
            None => Err(HeaderError::Damaged),
        }
    }

    /// What follows the format.
    fn fields(mut fields: Fields<'_>) -> Option<Self> {
        let reason = match fields.u32()? {
            0 => Reason::First,
            1 => Reason::SegmentRotation,
            2 => Reason::Failure,
            _ => return None,
        };
        let (log, epoch) = (LogId(fields.array()?), fields.array()?);
        let (first, open_from, created_ns, bytes) =
            (fields.u64()?, fields.u64()?, fields.u64()?, fields.u64()?);
        let (record_hash, previous) = (fields.array()?, fields.u64()?);
        let count = fields.u32()?;
        let roots = (0..count.min(64)).map(|_| fields.array()).collect::<Option<Vec<Hash>>>()?;
        let frontier = Frontier::from_parts(first, roots)?;
        if fields.0.iter().any(|&byte| byte != 0) {
            return None;
        }
        Some(Self { reason, log, epoch, open_from, created_ns, bytes, record_hash, previous, frontier })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test should panic")]

    use super::*;

    #[test]
    fn a_header_reads_back_and_no_flipped_byte_does() {
        let mut frontier = Frontier::default();
        (0..11).for_each(|leaf| frontier.push([leaf; 32]));
        let header = SegmentHeader {
            reason: Reason::Failure,
            log: LogId([3; 16]),
            epoch: [4; 16],
            open_from: 9,
            created_ns: 5,
            bytes: 1 << 20,
            record_hash: [6; 32],
            previous: 7,
            frontier,
        };
        let bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
        for index in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[index] ^= 0x10;
            assert_eq!(SegmentHeader::decode(&flipped), Err(HeaderError::Damaged), "byte {index}");
        }
    }
}
