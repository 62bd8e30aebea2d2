//! Frame: one batch on disk. A head, records, the Merkle root over all records so far, a checksum,
//! zeros up to a sector.
//!
//! ```text
//! "AVKF" | format u8 | flags u8 | 0 u16 | epoch 16 | count u32 | len u32 | first u64 | open_from u64 | prev_hash 32
//! | crc32c u32 | count × (len u32 | crc32c u32 | record) | root 32 | crc32c u32 | zeros to a multiple of 512        (big-endian)
//! ```
//!
//! A frame begins on a sector of its own, so no sector that holds an acknowledged record is ever
//! written again. Not for: whether a frame fits its neighbours (`chain`).

use crate::format::bytes::Fields;
use crate::format::merkle::Hash;

/// Frames begin at multiples of this; a disk writes a sector wholly or not at all.
pub(crate) const SECTOR: usize = 512;
/// The bytes before the records.
pub(crate) const HEAD_BYTES: usize = 84;
/// The bytes after the records: root and checksum.
const TRAILER_BYTES: usize = 36;
/// The bytes before each record: length and checksum, by which a changed record is located.
const RECORD_HEAD_BYTES: usize = 8;
const MAGIC: [u8; 4] = *b"AVKF";
const FORMAT: u8 = 2;
/// The first frame that a process wrote after it had opened the log.
pub(crate) const OPENING: u8 = 1;

/// The part before the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FrameHead {
    /// [`OPENING`] or 0.
    pub(crate) flags: u8,
    /// Random, one for each open: bytes of an earlier run are never taken for a frame of this one.
    pub(crate) epoch: [u8; 16],
    /// Number of records.
    pub(crate) count: u32,
    /// Bytes of the records, with the head of each.
    pub(crate) len: u32,
    /// The number of the first record.
    pub(crate) first: u64,
    /// All intents below this one have an outcome; `u64::MAX` when all have.
    pub(crate) open_from: u64,
    /// The hash of the record before the first one.
    pub(crate) prev_hash: Hash,
}

impl FrameHead {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[FORMAT, self.flags, 0, 0]);
        out.extend_from_slice(&self.epoch);
        out.extend_from_slice(&self.count.to_be_bytes());
        out.extend_from_slice(&self.len.to_be_bytes());
        out.extend_from_slice(&self.first.to_be_bytes());
        out.extend_from_slice(&self.open_from.to_be_bytes());
        out.extend_from_slice(&self.prev_hash);
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_be_bytes());
        out
    }

    /// Reads a head; `None` when it is not whole.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (content, crc) = bytes.get(..HEAD_BYTES)?.split_last_chunk::<4>()?;
        if crc32c::crc32c(content).to_be_bytes() != *crc {
            return None;
        }
        let mut fields = Fields(content);
        if fields.array()? != MAGIC {
            return None;
        }
        let [FORMAT, flags, 0, 0] = fields.array()? else { return None };
        Some(Self {
            flags,
            epoch: fields.array()?,
            count: fields.u32()?,
            len: fields.u32()?,
            first: fields.u64()?,
            open_from: fields.u64()?,
            prev_hash: fields.array()?,
        })
    }

    /// The bytes from the head to the end of the checksum.
    pub(crate) fn content_bytes(&self) -> usize {
        HEAD_BYTES + usize::try_from(self.len).unwrap_or(usize::MAX / 2) + TRAILER_BYTES
    }

    /// The bytes that the frame takes on disk.
    pub(crate) fn disk_bytes(&self) -> usize {
        self.content_bytes().next_multiple_of(SECTOR)
    }
}

/// Builds frames record by record in one buffer that is reused.
#[derive(Default)]
pub(crate) struct FrameBuffer {
    bytes: Vec<u8>,
    count: u32,
}

impl FrameBuffer {
    /// Begins a new frame.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.resize(HEAD_BYTES, 0);
        self.count = 0;
    }

    /// Adds the record that `write` appends, and gives its bytes back.
    pub(crate) fn record(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> &[u8] {
        let place = self.bytes.len();
        self.bytes.extend_from_slice(&[0; RECORD_HEAD_BYTES]);
        write(&mut self.bytes);
        let (before, record) = self.bytes.split_at_mut(place + RECORD_HEAD_BYTES);
        let len = u32::try_from(record.len()).unwrap_or(u32::MAX).to_be_bytes();
        let crc = crc32c::crc32c(record).to_be_bytes();
        if let Some(head) = before.last_chunk_mut::<RECORD_HEAD_BYTES>() {
            head.copy_from_slice([len, crc].as_flattened());
        }
        self.count += 1;
        record
    }

    /// The frame, when it is complete.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Completes the frame: `head` with its counts filled in, the root, the checksum, the zeros.
    pub(crate) fn finish(&mut self, head: FrameHead, root: &Hash) {
        let len = u32::try_from(self.bytes.len() - HEAD_BYTES).unwrap_or(u32::MAX);
        let head = FrameHead { count: self.count, len, ..head };
        if let Some(place) = self.bytes.get_mut(..HEAD_BYTES) {
            place.copy_from_slice(&head.encode());
        }
        self.bytes.extend_from_slice(root);
        let crc = crc32c::crc32c(&self.bytes);
        self.bytes.extend_from_slice(&crc.to_be_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(SECTOR), 0);
    }
}

/// The parts of a frame after its head.
pub(crate) struct FrameBody<'a> {
    /// `count` times length and record.
    pub(crate) records: &'a [u8],
    /// The root over all records up to the last one of this frame.
    pub(crate) root: Hash,
    /// Whether checksum and padding are as written.
    pub(crate) whole: bool,
}

impl<'a> FrameBody<'a> {
    /// Splits the `disk_bytes` of a frame.
    pub(crate) fn split(head: &FrameHead, bytes: &'a [u8]) -> Option<Self> {
        let (content, padding) = bytes.split_at_checked(head.content_bytes())?;
        let (checked, crc) = content.split_last_chunk::<4>()?;
        let (records, root) = checked.get(HEAD_BYTES..)?.split_last_chunk::<32>()?;
        let whole = crc32c::crc32c(checked).to_be_bytes() == *crc && padding.iter().all(|&byte| byte == 0);
        Some(Self { records, root: *root, whole })
    }

    /// The records; `None` in place of one whose length is impossible, and nothing after it.
    pub(crate) fn records(&self) -> impl Iterator<Item = Option<&'a [u8]>> + use<'a> {
        self.checked_records().map(|record| record.map(|(record, _)| record))
    }

    /// The records, each with the checksum that was written for it; `None` as in
    /// [`records`](Self::records).
    pub(crate) fn checked_records(&self) -> impl Iterator<Item = Option<(&'a [u8], u32)>> + use<'a> {
        let mut fields = Fields(self.records);
        std::iter::from_fn(move || {
            if fields.0.is_empty() {
                return None;
            }
            let head = fields.u32().zip(fields.u32());
            let record = head.and_then(|(len, crc)| Some((fields.bytes(usize::try_from(len).ok()?)?, crc)));
            if record.is_none() {
                fields.0 = &[];
            }
            Some(record)
        })
    }
}
