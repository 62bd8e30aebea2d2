//! Checks that records follow each other: numbers, hash chain, Merkle roots, lives of the service.
//!
//! The same code runs at recovery and at verification. Pure: bytes in, verdict out.

use crate::format::corruption::CorruptionKind;
use crate::format::frame::{FrameBody, FrameHead, OPENING};
use crate::format::json;
use crate::format::merkle::{Frontier, Hash, leaf_hash};
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
    digits: Vec<u8>,
}

/// One record, checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checked<'a> {
    pub(crate) view: View<'a>,
    pub(crate) bytes: &'a [u8],
    pub(crate) hash: Hash,
}

impl Chain {
    /// The head on which a segment goes on, as its header says.
    pub(crate) fn at(header: &SegmentHeader) -> Self {
        Self {
            frontier: header.frontier.clone(),
            root: header.frontier.root(),
            last: header.record_hash,
            epoch: header.epoch,
            open_from: header.open_from,
            digits: Vec::with_capacity(64),
        }
    }

    /// How many records there are up to here.
    pub(crate) const fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Takes the next frame and shows each of its records to `each`, or says which record is wrong.
    ///
    /// A frame with a wrong checksum leaves the chain as it was; after another error it is of no use.
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
        if head.prev_root != self.root {
            return Err((first, CorruptionKind::Root));
        }
        if !body.whole {
            return Err(self.clone().locate(head, body));
        }
        if head.flags & OPENING != 0 {
            self.epoch = head.epoch;
        } else if head.epoch != self.epoch {
            return Err((first, CorruptionKind::Epoch));
        }
        for record in body.records() {
            let seq = self.size();
            let checked = record.ok_or(CorruptionKind::Frame).and_then(|record| self.check(seq, record));
            let checked = checked.map_err(|damage| (seq, damage))?;
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

    /// Finds the changed record in a frame with a wrong checksum: the one whose successor does not name its hash.
    fn locate(mut self, head: &FrameHead, body: &FrameBody<'_>) -> (u64, CorruptionKind) {
        let first = self.size();
        let end = first.saturating_add(u64::from(head.count));
        for record in body.records() {
            let seq = self.size();
            match record.map(|record| self.check(seq, record)) {
                Some(Ok(checked)) if seq < end => self.push(&checked),
                Some(Err(CorruptionKind::Chain)) if seq > first => return (seq - 1, CorruptionKind::Content),
                Some(Ok(_) | Err(_)) | None => {
                    return (seq.min(end.saturating_sub(1)).max(first), CorruptionKind::Content);
                }
            }
        }
        match self.size().checked_sub(1) {
            Some(last) if last >= first && self.frontier.root() != body.root => {
                (last, CorruptionKind::Content)
            }
            _ => (first, CorruptionKind::Frame),
        }
    }

    fn push(&mut self, checked: &Checked<'_>) {
        self.last = checked.hash;
        self.frontier.push(checked.hash);
    }

    fn check<'a>(&mut self, seq: u64, bytes: &'a [u8]) -> Result<Checked<'a>, CorruptionKind> {
        let view = View::of(bytes).ok_or(CorruptionKind::Form)?;
        if view.seq != seq {
            return Err(CorruptionKind::Sequence { found: view.seq });
        }
        self.digits.clear();
        json::hex_digits(&mut self.digits, &self.last);
        if view.prev != self.digits {
            return Err(CorruptionKind::Chain);
        }
        Ok(Checked { view, bytes, hash: leaf_hash(bytes) })
    }
}
