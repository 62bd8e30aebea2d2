//! Frame reader of one segment, which also tells how it ends: cleanly, with a torn write, or
//! damaged.
//!
//! A crash can only cut the write that was under way, and a disk writes whole sectors. So a last
//! frame of which some sector is still all zeros was never acknowledged; any other difference is
//! kind, and is never repaired silently. Not for: more than one segment (`recovery`, `verify`).

use std::io;

use crate::format::corruption::{Corruption, CorruptionKind, ReadError};
use crate::format::frame::{FrameBody, FrameHead, SECTOR};
use crate::format::segment::HEADER_BYTES;
use crate::read::chain::{Chain, Checked};
use crate::storage::disk::DiskFile;

const SECTOR_BYTES: u64 = SECTOR as u64;
const WINDOW: usize = 1 << 20;

/// A position in a segment.
pub(crate) struct FrameReader<'f, F> {
    file: &'f F,
    name: String,
    /// The size of the file.
    bytes: u64,
    pub(crate) offset: u64,
    window: Vec<u8>,
    window_at: u64,
    /// The next record.
    seq: u64,
}

/// What is at the position.
pub(crate) enum FrameEvent {
    /// A good frame; the position is behind it now.
    Frame {
        /// Where it begins.
        offset: u64,
        /// The bytes it takes.
        disk_bytes: usize,
    },
    /// Nothing more, zeros up to the end of the file.
    End,
    /// A write that a crash cut; it reaches to `to`.
    Torn {
        /// The end of the last sector that is not all zeros.
        to: u64,
    },
}

impl<'f, F: DiskFile> FrameReader<'f, F> {
    /// At the first frame of a segment.
    pub(crate) fn new(file: &'f F, name: &str, bytes: u64) -> Self {
        Self::at(file, name, bytes, HEADER_BYTES)
    }

    /// At the frame that begins there.
    pub(crate) fn at(file: &'f F, name: &str, bytes: u64, offset: u64) -> Self {
        Self { file, name: name.to_owned(), bytes, offset, window: Vec::new(), window_at: 0, seq: 0 }
    }

    /// The next frame, checked and added to the chain.
    pub(crate) fn step(
        &mut self,
        chain: &mut Chain,
        each: impl FnMut(&Checked<'_>),
    ) -> Result<FrameEvent, ReadError> {
        let (offset, seq) = (self.offset, chain.size());
        self.seq = seq;
        if offset.saturating_add(SECTOR_BYTES) > self.bytes {
            return Ok(FrameEvent::End);
        }
        let sector = self.view(offset, SECTOR)?;
        let Some(head) = FrameHead::decode(sector) else {
            if !is_zero(sector) {
                return Err(self.fault(seq, CorruptionKind::FrameHead));
            }
            return self.tail(offset, seq);
        };
        let disk_bytes = head.disk_bytes();
        let end = offset.saturating_add(u64::try_from(disk_bytes).unwrap_or(u64::MAX));
        if end > self.bytes {
            return Err(self.fault(seq, CorruptionKind::FrameHead));
        }
        let name = &self.name;
        let fault = |(seq, kind)| ReadError::from(Corruption { seq, segment: name.clone(), offset, kind });
        let bytes = window(&mut self.window, &mut self.window_at, self.file, self.bytes, offset, disk_bytes)
            .map_err(|source| ReadError::of(name, seq, offset, source))?;
        let body = FrameBody::split(&head, bytes).ok_or((seq, CorruptionKind::FrameHead)).map_err(fault)?;
        let untouched = || bytes.chunks(SECTOR).any(is_zero);
        if !body.whole && untouched() {
            return match self.tail(end, seq)? {
                FrameEvent::End => Ok(FrameEvent::Torn { to: end }),
                // What follows was written after this frame had been acknowledged.
                FrameEvent::Frame { .. } | FrameEvent::Torn { .. } => {
                    Err(self.fault(seq, CorruptionKind::Missing))
                }
            };
        }
        chain.accept(&head, &body, each).map_err(fault)?;
        self.offset = end;
        Ok(FrameEvent::Frame { offset, disk_bytes })
    }

    /// What the rest of the file is, from a place where no frame begins.
    fn tail(&mut self, from: u64, seq: u64) -> Result<FrameEvent, ReadError> {
        let (mut at, mut to) = (from, from);
        while at < self.bytes {
            let count = usize::try_from(self.bytes - at).unwrap_or(WINDOW).min(WINDOW);
            let bytes = self.view(at, count)?;
            let mut later_frame = false;
            for (sector, start) in bytes.chunks(SECTOR).zip((at..).step_by(SECTOR)) {
                if !is_zero(sector) {
                    to = start + SECTOR_BYTES;
                    later_frame |= FrameHead::decode(sector).is_some();
                }
            }
            if later_frame {
                return Err(self.fault(seq, CorruptionKind::Missing));
            }
            at += u64::try_from(count).unwrap_or_default();
        }
        Ok(if to == from { FrameEvent::End } else { FrameEvent::Torn { to: to.min(self.bytes) } })
    }

    fn view(&mut self, offset: u64, count: usize) -> Result<&[u8], ReadError> {
        window(&mut self.window, &mut self.window_at, self.file, self.bytes, offset, count)
            .map_err(|source| ReadError::of(&self.name, self.seq, offset, source))
    }

    /// Drops what was read ahead: the file is being written.
    pub(crate) fn reread(&mut self) {
        self.window.clear();
    }

    fn fault(&self, seq: u64, kind: CorruptionKind) -> ReadError {
        Corruption { seq, segment: self.name.clone(), offset: self.offset, kind }.into()
    }
}

/// Whether a sector was never written. One comparison of memory, not a loop: most of a young
/// segment is zeros.
fn is_zero(sector: &[u8]) -> bool {
    const ZEROS: [u8; SECTOR] = [0; SECTOR];
    ZEROS.get(..sector.len()).is_some_and(|zeros| zeros == sector)
}

/// `count` bytes at `offset`, from the window when they are in it.
fn window<'w, F: DiskFile>(
    window: &'w mut Vec<u8>,
    window_at: &mut u64,
    file: &F,
    file_bytes: u64,
    offset: u64,
    count: usize,
) -> io::Result<&'w [u8]> {
    let inside = |window: &[u8], at: u64| {
        let skip = usize::try_from(offset.checked_sub(at)?).ok()?;
        (skip.checked_add(count)? <= window.len()).then_some(skip)
    };
    let skip = match inside(window, *window_at) {
        Some(skip) => skip,
        None => {
            let rest = usize::try_from(file_bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
            // What is there of it is kept: no byte is read twice on the way forward.
            let kept = match offset.checked_sub(*window_at).and_then(|skip| usize::try_from(skip).ok()) {
                Some(skip) if skip < window.len() => {
                    window.copy_within(skip.., 0);
                    window.len() - skip
                }
                _ => 0,
            };
            window.resize(count.max(WINDOW).min(rest), 0);
            *window_at = offset;
            let (kept, place) = (kept.min(window.len()), window.get_mut(kept..).unwrap_or_default());
            let from = offset.saturating_add(u64::try_from(kept).unwrap_or_default());
            if let Err(error) = file.read_at(place, from) {
                window.clear();
                return Err(error);
            }
            0
        }
    };
    window.get(skip..skip.saturating_add(count)).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}
