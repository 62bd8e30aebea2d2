//! Stored Merkle hashes in one file, so that a proof needs a few reads instead of the whole log.
//!
//! The file is derived from the segments: it is not synced, is checked against a segment's header
//! when it is opened, and rebuilt when it does not fit. Every proof is checked before it is given
//! out; one that does not hold has the file rebuilt as well. It holds the leaves and every eighth
//! level above them, in the order in which the tree completes them (as the tiles of
//! c2sp.org/tlog-tiles do); the levels between are computed. That is half of what all levels take.
//! Not for: deciding what is true (the segments and checkpoints do).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tlog_tiles::HashReader;

use crate::format::corruption::{Corruption, CorruptionKind, ReadError, io_error};
use crate::format::merkle::{Frontier, Hash, node_hash};
use crate::format::names::HASHES;
use crate::read::cursor::Cursor;
use crate::read::source::Source;

const HASH_BYTES: u64 = 32;
/// Levels of the tree from one that is stored to the next.
const STEP: u32 = 8;

/// The growing file.
pub(crate) struct HashIndex {
    directory: PathBuf,
    file: File,
    frontier: Frontier,
    /// Where the next record comes from. None after an error: it is opened again at `frontier` by
    /// the next update.
    cursor: Option<Cursor>,
}

/// The file, for reading hashes that are in it.
pub(crate) struct HashIndexReader(File);

/// The hashes that are stored before leaf `leaf`: its own place in the file.
fn stored_before(leaf: u64) -> u64 {
    (0..u64::BITS / STEP).map(|level| leaf >> (STEP * level)).fold(0, u64::saturating_add)
}

/// The place of node `n` of level `8 * level`: after the leaf that completes it, and the stored
/// nodes below it.
fn place(level: u32, n: u64) -> u64 {
    let after = n.saturating_add(1).checked_shl(STEP * level).unwrap_or(u64::MAX);
    stored_before(after.saturating_sub(1)).saturating_add(u64::from(level))
}

impl HashIndex {
    /// Opens or makes the file; what does not fit the log is cut off. `None` when it would have to
    /// be made from segments that are not here.
    pub(crate) fn open(directory: &Path) -> Result<Option<Self>, ReadError> {
        let failed = |error| io_error(HASHES, error);
        let source = Source::open(directory)?;
        let directory = directory.to_owned();
        let file = trusted_files::open_update(&directory.join(HASHES))
            .map_err(|error| failed(io::Error::other(error)))?;
        let hashes = file.metadata().map_err(failed)?.len() / HASH_BYTES;
        let stored = HashIndexReader(file.try_clone().map_err(failed)?);
        for first in source.firsts()?.into_iter().rev() {
            if first > 0 && stored_before(first) > hashes {
                continue;
            }
            let frontier = source.segment(first)?.header.frontier;
            let fits = first == 0
                || tlog_tiles::tree_hash(first, &stored).is_ok_and(|root| root.0 == frontier.root());
            if fits {
                let cursor = Some(Cursor::new(source, first));
                return Ok(Some(Self { directory, file, frontier, cursor }));
            }
        }
        Ok(None)
    }

    /// Rebuilds the whole file, if the log is here from its beginning.
    pub(crate) fn rebuild(&mut self) -> Result<(), ReadError> {
        let source = Source::open(&self.directory)?;
        if source.firsts()?.first() != Some(&0) {
            tracing::warn!("older audit segments were moved away: their hashes cannot be rebuilt");
            return Ok(());
        }
        let size = self.frontier.size();
        (self.frontier, self.cursor) = (Frontier::default(), Some(Cursor::new(source, 0)));
        self.update(size)
    }

    /// A second handle for proofs.
    pub(crate) fn reader(&self) -> io::Result<HashIndexReader> {
        Ok(HashIndexReader(self.file.try_clone()?))
    }

    /// Adds the records up to the durable head of `size` records.
    ///
    /// After an error the cursor is gone, so that the next update reads again what was read for
    /// nothing: a cursor that is ahead of the stored hashes would leave a hole for ever.
    pub(crate) fn update(&mut self, size: u64) -> Result<(), ReadError> {
        let mut cursor = match self.cursor.take() {
            Some(cursor) => cursor,
            None => Cursor::new(Source::open(&self.directory)?, self.frontier.size()),
        };
        self.add(&mut cursor, size)?;
        self.cursor = Some(cursor);
        Ok(())
    }

    fn add(&mut self, cursor: &mut Cursor, size: u64) -> Result<(), ReadError> {
        let mut bytes = Vec::new();
        while self.frontier.size() < size {
            let at = stored_before(self.frontier.size()).saturating_mul(HASH_BYTES);
            let mut frontier = self.frontier.clone();
            bytes.clear();
            let moved = cursor.advance(size, |record| {
                if record.view.seq == frontier.size() {
                    let mut level = 0;
                    frontier.push_each(record.hash, |node| {
                        if level % STEP == 0 {
                            bytes.extend_from_slice(node);
                        }
                        level += 1;
                    });
                }
            })?;
            self.file.write_all_at(&bytes, at).map_err(|error| io_error(HASHES, error))?;
            self.frontier = frontier;
            if !moved {
                // The records are durable, so they are there, or a segment was moved away before it
                // was indexed.
                let (seq, segment) = (self.frontier.size(), HASHES.to_owned());
                return Err(Corruption { seq, segment, offset: at, kind: CorruptionKind::Absent }.into());
            }
        }
        Ok(())
    }

    /// Number of records it covers.
    pub(crate) const fn size(&self) -> u64 {
        self.frontier.size()
    }
}

impl HashIndexReader {
    fn stored(&self, place: u64) -> io::Result<Hash> {
        let mut hash = [0; 32];
        self.0.read_exact_at(&mut hash, place.saturating_mul(HASH_BYTES))?;
        Ok(hash)
    }

    /// Node `n` of level `level`: stored, or computed from the 2 to 128 stored nodes below it.
    fn node(&self, level: u32, n: u64) -> io::Result<Hash> {
        let (stored, above) = (level / STEP, level % STEP);
        let first = n.checked_shl(above).ok_or(io::ErrorKind::InvalidInput)?;
        let below = (first..).take(1 << above).map(|n| self.stored(place(stored, n)));
        let mut nodes = below.collect::<io::Result<Vec<_>>>()?;
        while nodes.len() > 1 {
            nodes = nodes.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
        }
        nodes.pop().ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl HashReader for HashIndexReader {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        let read = |&index: &u64| {
            let (level, n) = tlog_tiles::split_stored_hash_index(index);
            self.node(u32::from(level), n).map(tlog_tiles::Hash)
        };
        indexes.iter().map(read).collect::<io::Result<_>>().map_err(|_| tlog_tiles::Error::IndexesNotInTree)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test should panic")]

    use super::*;
    use crate::format::merkle::leaf_hash;
    use crate::format::record::BuildInfo;
    use crate::format::time::RecordTime;
    use crate::storage::directory::Directory;
    use crate::write::appender::{Appender, RunInfo};
    use crate::write::queue::entry::{AckKind, QueuedRecord};
    use crate::write::segment_rotation::Layout;

    #[test]
    fn every_node_of_the_tree_is_read_back_from_a_half_of_the_hashes() {
        const LEAVES: u64 = 70_000;
        let (mut frontier, mut bytes, mut levels) =
            (Frontier::default(), Vec::new(), Vec::<Vec<Hash>>::new());
        for leaf in 0..LEAVES {
            assert_eq!(bytes.len() as u64, stored_before(leaf) * HASH_BYTES);
            let mut level = 0;
            frontier.push_each(leaf_hash(&leaf.to_be_bytes()), |node| {
                levels.resize(levels.len().max(level + 1), Vec::new());
                levels[level].push(*node);
                if level % STEP as usize == 0 {
                    bytes.extend_from_slice(node);
                }
                level += 1;
            });
        }
        assert!(bytes.len() as u64 <= LEAVES * HASH_BYTES * 257 / 256 + 4 * HASH_BYTES);
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        let reader = HashIndexReader(file);
        for (level, nodes) in levels.iter().enumerate() {
            for n in (0..nodes.len()).step_by(1 + nodes.len() / 300) {
                assert_eq!(
                    reader.node(level as u32, n as u64).unwrap(),
                    nodes[n],
                    "node {n} of level {level}"
                );
            }
        }
        assert_eq!(tlog_tiles::tree_hash(LEAVES, &reader).unwrap().0, frontier.root());
    }

    /// A log of one segment with this many notes, each in a frame of its own.
    fn log_of(directory: &Path, notes: u64) -> u64 {
        let disk = Directory::lock(directory).unwrap();
        let layout = Layout { segment_bytes: 1 << 16, daily: false };
        Appender::create(&disk, layout, [1; 32]).unwrap();
        let boot = BuildInfo { version: String::new(), config_digest: [0; 32], installation: None };
        let opening = RunInfo { boot, kernel_boot: String::new(), epoch: [2; 16] };
        let (mut appender, _) = Appender::open(disk, directory, layout, &opening).unwrap();
        for _ in 0..notes {
            let ack = AckKind::Note { ack: None };
            let body = b"\"kind\":\"event\"}".to_vec();
            appender.append(&[QueuedRecord { body, time: RecordTime::now(), ack }]).unwrap();
        }
        appender.head().size
    }

    #[test]
    fn an_update_that_failed_half_way_is_made_up_for_even_if_the_log_could_not_be_opened_again() {
        let root = tempfile::tempdir().unwrap();
        let (directory, elsewhere) = (root.path().join("audit"), root.path().join("moved"));
        std::fs::create_dir(&directory).unwrap();
        let size = log_of(&directory, 20);
        let mut index = HashIndex::open(&directory).unwrap().unwrap();
        // The tenth frame cannot be read for a while, and the directory is away.
        let path = directory.join(crate::format::names::segment(0));
        let bytes = std::fs::read(&path).unwrap();
        let mut damaged = bytes.clone();
        damaged[4096 + 10 * 512 + 100] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        std::fs::rename(&directory, &elsewhere).unwrap();
        index.update(size).unwrap_err();
        index.update(size).unwrap_err();
        std::fs::rename(&elsewhere, &directory).unwrap();
        std::fs::write(&path, &bytes).unwrap();
        index.update(size).unwrap();
        assert_eq!(index.size(), size);
        assert!(tlog_tiles::tree_hash(size, &index.reader().unwrap()).is_ok());
        // A head that the log does not have is an error, too.
        index.update(size + 1).unwrap_err();
    }
}
