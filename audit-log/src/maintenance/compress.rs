//! Compression of completed segments, beside the running service or on a copy. Readers get the same
//! bytes.
//!
//! A crash at any point leaves the segment, its compressed form, or both; the next run starts that
//! segment again. Not for: the last segment, a damaged one, and one with an intent that the next
//! start may have to recover.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use crate::format::corruption::{Corruption, CorruptionKind, ReadError, io_error};
use crate::format::names;
use crate::format::segment::{NONE, Reason};
use crate::read::chain::Chain;
use crate::read::cursor::step_with_retry;
use crate::read::frame_reader::{FrameEvent, FrameReader};
use crate::read::source::{Segment, Source};
use crate::storage::compressed::CompressedSegment;
use crate::storage::disk::DiskFile;

/// The result of a compression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compressed {
    /// Number of segments.
    pub segments: u64,
    /// Their bytes before.
    pub before: u64,
    /// Their bytes now.
    pub after: u64,
    /// Completed segments that stay as they are, because an intent in them, or after them, has no
    /// outcome yet.
    pub held: u64,
}

/// The level of zstd: fast, and records compress well at any.
const LEVEL: i32 = 3;

/// Compresses all completed segments but the newest `keep`.
///
/// # Errors
/// At the first segment that is damaged or cannot be read or written; those before it are done.
pub fn compress(directory: &Path, keep: usize) -> Result<Compressed, ReadError> {
    let source = Source::open(directory)?;
    let firsts = source.firsts()?;
    let mut done = Compressed::default();
    let Some((&last, older)) = firsts.split_last() else { return Ok(done) };
    let open_from = source.segment(last)?.header.open_from;
    for (index, &first) in older.iter().take(older.len().saturating_sub(keep)).enumerate() {
        let Some(&next) = firsts.get(index + 1) else { break };
        let path = directory.join(names::segment(first));
        if !path.exists() {
            continue;
        }
        if open_from != NONE && next > open_from {
            done.held += 1;
            continue;
        }
        sound(&source, first, next)?;
        let (before, after) =
            pack(directory, first).map_err(|error| io_error(&names::segment(first), error))?;
        done.segments += 1;
        done.before += before;
        done.after += after;
    }
    Ok(done)
}

/// Whether the segment is whole and the next one continues from it.
fn sound(source: &Source, first: u64, next: u64) -> Result<(), ReadError> {
    let Segment { name, file, header } = source.segment(first)?;
    let after = source.segment(next)?.header;
    let mut chain = Chain::at(&header);
    let mut reader = FrameReader::new(&file, &name, header.bytes);
    while chain.size() < next {
        let FrameEvent::Frame { .. } = step_with_retry(&file, &mut reader, &mut chain, |_| ())? else {
            break;
        };
    }
    let fault = |kind| {
        Err(Corruption { seq: chain.size(), segment: name.clone(), offset: reader.offset, kind }.into())
    };
    // What comes between the two may have been moved away.
    if after.previous != first {
        return Ok(());
    }
    if chain.size() != next {
        return fault(CorruptionKind::Missing);
    }
    let continues = chain.last == after.record_hash && chain.frontier == after.frontier;
    match continues || after.reason == Reason::First {
        true => Ok(()),
        false => fault(CorruptionKind::SegmentHead),
    }
}

/// Writes the compressed form, makes it durable, compares it and removes the segment. Bytes before
/// and after.
fn pack(directory: &Path, first: u64) -> io::Result<(u64, u64)> {
    let name = directory.join(names::segment(first));
    let packed = directory.join(names::compressed(first));
    let aside = packed.with_extension("new");
    let mut plain = File::open(&name)?;
    let before = plain.metadata()?.len();
    let file = trusted_files::open_update(&aside).map_err(io::Error::other)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(io::Error::other("another process compresses this log")),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    file.set_len(0)?;
    let mut encoder = zstd::stream::Encoder::new(&file, LEVEL)?;
    encoder.include_checksum(true)?;
    encoder.include_contentsize(true)?;
    encoder.set_pledged_src_size(Some(before))?;
    io::copy(&mut plain, &mut encoder)?;
    encoder.finish()?;
    file.sync_all()?;
    let after = file.metadata()?.len();
    compare(&plain, &CompressedSegment::open(file.try_clone()?)?, before)?;
    std::fs::rename(&aside, &packed)?;
    let names = File::open(directory)?;
    names.sync_all()?;
    std::fs::remove_file(&name)?;
    names.sync_all()?;
    Ok((before, after))
}

/// Compares before the segment is removed: a library may be wrong.
fn compare(plain: &File, packed: &CompressedSegment, bytes: u64) -> io::Result<()> {
    let (mut left, mut right) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut at = 0;
    while at < bytes {
        let count = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(left.len());
        left.truncate(count);
        right.truncate(count);
        DiskFile::read_at(plain, &mut left, at)?;
        packed.read_at(&mut right, at)?;
        if left != right {
            return Err(io::Error::other("the compressed segment does not give back the same bytes"));
        }
        at += u64::try_from(count).unwrap_or_default();
    }
    Ok(())
}
