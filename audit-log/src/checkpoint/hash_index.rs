//! All hashes of the Merkle tree in one file, so that a proof needs a few reads instead of the whole log.
//!
//! The file is derived from the segments: it is not synced, is checked against a segment's header when it is
//! opened, and made anew when it does not fit. Every proof is checked before it is given out; one that does not hold
//! has the file made anew as well. The layout is that of `tlog_tiles::stored_hash_index`. Not for: deciding what is
//! true (the segments and checkpoints do).

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tlog_tiles::{HashReader, stored_hash_count};

use crate::format::corruption::{ReadError, io_error};
use crate::format::merkle::Frontier;
use crate::format::names::HASHES;
use crate::read::cursor::Cursor;
use crate::read::source::Source;

const HASH_BYTES: u64 = 32;

/// The growing file.
pub(crate) struct HashIndex {
    directory: PathBuf,
    file: File,
    frontier: Frontier,
    cursor: Cursor,
}

/// The file, for reading hashes that are in it.
pub(crate) struct HashIndexReader(File);

impl HashIndex {
    /// Opens or makes the file; what does not fit the log is cut off. `None` when it would have to be made from
    /// segments that are not here.
    pub(crate) fn open(directory: &Path) -> Result<Option<Self>, ReadError> {
        let failed = |error| io_error(HASHES, error);
        let source = Source::open(directory)?;
        let directory = directory.to_owned();
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(directory.join(HASHES))
            .map_err(failed)?;
        let hashes = file.metadata().map_err(failed)?.len() / HASH_BYTES;
        let stored = HashIndexReader(file.try_clone().map_err(failed)?);
        for first in source.firsts()?.into_iter().rev() {
            if first > 0 && stored_hash_count(first) > hashes {
                continue;
            }
            let frontier = source.segment(first)?.header.frontier;
            let fits = first == 0
                || tlog_tiles::tree_hash(first, &stored).is_ok_and(|root| root.0 == frontier.root());
            if fits {
                return Ok(Some(Self { directory, file, frontier, cursor: Cursor::new(source, first) }));
            }
        }
        Ok(None)
    }

    /// Makes the whole file anew, if the log is here from its beginning.
    pub(crate) fn make_anew(&mut self) -> Result<(), ReadError> {
        let source = Source::open(&self.directory)?;
        if source.firsts()?.first() != Some(&0) {
            tracing::warn!("older audit segments were moved away: their hashes cannot be made anew");
            return Ok(());
        }
        let size = self.frontier.size();
        (self.frontier, self.cursor) = (Frontier::default(), Cursor::new(source, 0));
        self.update(size)
    }

    /// A second handle for proofs.
    pub(crate) fn stored(&self) -> io::Result<HashIndexReader> {
        Ok(HashIndexReader(self.file.try_clone()?))
    }

    /// Adds the records up to the durable head of `size` records.
    pub(crate) fn update(&mut self, size: u64) -> Result<(), ReadError> {
        let added = self.add(size);
        if added.is_err() {
            // What was read for nothing is read again: a hole would never be filled.
            self.cursor = Cursor::new(Source::open(&self.directory)?, self.frontier.size());
        }
        added
    }

    fn add(&mut self, size: u64) -> Result<(), ReadError> {
        let mut bytes = Vec::new();
        while self.frontier.size() < size {
            let at = stored_hash_count(self.frontier.size()).saturating_mul(HASH_BYTES);
            let mut frontier = self.frontier.clone();
            bytes.clear();
            let moved = self.cursor.advance(size, |record| {
                if record.view.seq == frontier.size() {
                    frontier.push_each(record.hash, |node| bytes.extend_from_slice(node));
                }
            })?;
            self.file.write_all_at(&bytes, at).map_err(|error| io_error(HASHES, error))?;
            self.frontier = frontier;
            if !moved {
                break;
            }
        }
        Ok(())
    }

    /// How many records it covers.
    pub(crate) const fn size(&self) -> u64 {
        self.frontier.size()
    }
}

impl HashReader for HashIndexReader {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        let read = |&index: &u64| {
            let mut hash = [0; 32];
            self.0.read_exact_at(&mut hash, index.saturating_mul(HASH_BYTES))?;
            Ok(tlog_tiles::Hash(hash))
        };
        indexes.iter().map(read).collect::<io::Result<_>>().map_err(|_| tlog_tiles::Error::IndexesNotInTree)
    }
}
