//! Chain check: sequence numbers, hash chain, Merkle roots and runs of the service.
//!
//! Recovery and verification use the same code. It does no I/O.

use crate::format::corruption::CorruptionKind;
use crate::format::frame::{FrameBody, FrameHead, OPENING};
use crate::format::merkle::{Frontier, Hash};
use crate::format::segment::SegmentHeader;
use crate::format::view::View;

/// The head of a log while it is read.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) frontier: Frontier,
    /// The root of `frontier` after the last whole frame.
    pub(crate) root: Hash,
    /// The hash of the last record.
    pub(crate) last: Hash,
    pub(crate) epoch: [u8; 16],
    /// From the last frame, or the segment's header.
    pub(crate) open_from: u64,
}

/// One record, checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checked<'a> {
    pub(crate) view: View<'a>,
    /// The hash of the record before it.
    pub(crate) prev: Hash,
    pub(crate) hash: Hash,
}

impl Checked<'_> {
    /// Appends the line of the record.
    pub(crate) fn line(&self, out: &mut Vec<u8>) {
        self.view.line(&self.prev, out);
    }

    /// The line of the record.
    pub(crate) fn text(&self) -> String {
        let mut line = Vec::with_capacity(1024);
        self.line(&mut line);
        String::from_utf8(line).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

impl Chain {
    /// The head that a segment continues from, by its header.
    pub(crate) fn at(header: &SegmentHeader) -> Self {
        Self {
            frontier: header.frontier.clone(),
            root: header.frontier.root(),
            last: header.record_hash,
            epoch: header.epoch,
            open_from: header.open_from,
        }
    }

    /// Number of records up to here.
    pub(crate) const fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Adds the next frame and calls `each` with each of its records, or returns the record that is
    /// wrong.
    ///
    /// A frame with a wrong checksum leaves the chain unchanged; after another error the chain must
    /// not be used.
    pub(crate) fn accept(
        &mut self,
        head: &FrameHead,
        body: &FrameBody<'_>,
        mut each: impl FnMut(&Checked<'_>),
    ) -> Result<(), (u64, CorruptionKind)> {
        let first = self.size();
        if head.first != first {
            return Err((first, CorruptionKind::Sequence { found: head.first }));
        }
        if head.prev_hash != self.last {
            return Err((first, CorruptionKind::Chain));
        }
        if !body.whole {
            return Err(locate(head, body));
        }
        if head.flags & OPENING != 0 {
            self.epoch = head.epoch;
        } else if head.epoch != self.epoch {
            return Err((first, CorruptionKind::Epoch));
        }
        for record in body.records() {
            let seq = self.size();
            let checked = record.ok_or(CorruptionKind::Frame).and_then(|record| self.check(seq, record));
            let checked = checked.map_err(|kind| (seq, kind))?;
            self.push(&checked);
            each(&checked);
        }
        if self.size() - first != u64::from(head.count) || head.count == 0 {
            return Err((self.size(), CorruptionKind::Frame));
        }
        self.root = self.frontier.root();
        if self.root != body.root {
            return Err((self.size() - 1, CorruptionKind::Root));
        }
        self.open_from = head.open_from;
        Ok(())
    }

    fn push(&mut self, checked: &Checked<'_>) {
        self.last = checked.hash;
        self.frontier.push(checked.hash);
    }

    fn check<'a>(&self, seq: u64, stored: &'a [u8]) -> Result<Checked<'a>, CorruptionKind> {
        let view = View::of(stored).ok_or(CorruptionKind::Form)?;
        if view.seq != seq {
            return Err(CorruptionKind::Sequence { found: view.seq });
        }
        Ok(Checked { view, prev: self.last, hash: view.hash(&self.last) })
    }
}

/// Finds the changed record in a frame with a wrong checksum: the first whose own checksum does not
/// hold.
fn locate(head: &FrameHead, body: &FrameBody<'_>) -> (u64, CorruptionKind) {
    for (seq, record) in
        (head.first..).take(usize::try_from(head.count).unwrap_or(usize::MAX)).zip(body.checked_records())
    {
        if record.is_none_or(|(record, crc)| crc32c::crc32c(record) != crc) {
            return (seq, CorruptionKind::Content);
        }
    }
    (head.first, CorruptionKind::Frame)
}
