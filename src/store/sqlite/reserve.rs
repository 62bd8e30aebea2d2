//! Space on the store's disk for changes that only take away: a file that gives up its bytes when the disk is full.
//!
//! A version that must be disabled now cannot wait for free space. While the file is not whole, ordinary changes are
//! refused, so that they do not take what was given up. Not for: the audit log, whose segments have an end of their own.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

/// Some eighty changes; one takes ten pages of 4 KiB at most, in the journal and in the database.
const BYTES: u64 = 4 << 20;

/// What is given up at a time.
const STEP: u64 = 256 << 10;

/// The file beside the store.
#[derive(Debug)]
pub(super) struct Reserve {
    file: Option<File>,
    bytes: u64,
}

impl Reserve {
    /// The reserve of the store at this path. Without its file the store works as before, and the log says so.
    pub(super) fn of(store: &Path) -> Self {
        let path = store.with_extension("reserve");
        let opened = trusted_files::open_update(&path).map_err(io::Error::other).and_then(|file| {
            let bytes = file.metadata()?.len();
            Ok((file, bytes))
        });
        match opened {
            Ok((file, bytes)) => Self { file: Some(file), bytes: bytes.min(BYTES) },
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "no disk space is kept for disable, revoke and freeze");
                Self::none()
            }
        }
    }

    /// None: of a store in memory.
    pub(super) const fn none() -> Self {
        Self { file: None, bytes: BYTES }
    }

    /// Takes back what was given up; `false` while the disk has no space for it.
    pub(super) fn fill(&mut self) -> bool {
        let Some(file) = self.file.as_ref().filter(|_| self.bytes < BYTES) else { return true };
        match allocate(file, self.bytes, BYTES - self.bytes) {
            Ok(()) => {
                self.bytes = BYTES;
                true
            }
            Err(_) => {
                // What was half allocated is needed by others.
                let _ = file.set_len(self.bytes);
                false
            }
        }
    }

    /// Gives up one step; `false` if nothing is left.
    pub(super) fn give(&mut self) -> bool {
        let Some(file) = self.file.as_ref().filter(|_| self.bytes > 0) else { return false };
        let less = self.bytes.saturating_sub(STEP);
        if file.set_len(less).is_err() {
            return false;
        }
        self.bytes = less;
        true
    }
}

/// A connection, and the reserve on its disk.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) connection: Connection,
    pub(super) reserve: Reserve,
}

/// The one connection, for the rows and for the wrapped records: two would wait for each other's locks.
#[derive(Clone, Debug)]
pub(super) struct SharedFile(Arc<Mutex<OpenFile>>);

impl SharedFile {
    pub(super) fn over(connection: Connection) -> Self {
        let path = connection.path().filter(|path| !path.is_empty());
        let reserve = path.map_or(Reserve::none(), |path| Reserve::of(Path::new(path)));
        Self(Arc::new(Mutex::new(OpenFile { connection, reserve })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, OpenFile> {
        // A panic under the lock left SQLite's transaction rolled back: the connection is good.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn allocate(file: &File, from: u64, bytes: u64) -> io::Result<()> {
    match fallocate(file, FallocateFlags::empty(), from, bytes) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            let zeros = vec![0; usize::try_from(bytes).unwrap_or_default()];
            file.write_all_at(&zeros, from)?;
            file.sync_data()
        }
        done => Ok(done?),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    #[test]
    fn a_reserve_gives_up_its_bytes_step_by_step_and_takes_them_back() {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("store.sqlite");
        let mut reserve = Reserve::of(&store);
        assert!(reserve.fill());
        let on_disk = || {
            std::os::unix::fs::MetadataExt::blocks(
                &std::fs::metadata(store.with_extension("reserve")).unwrap(),
            )
        };
        let whole = on_disk();
        assert!(whole * 512 >= BYTES, "the space is really taken");
        assert!(reserve.give() && on_disk() * 512 <= whole * 512 - STEP);
        let steps = std::iter::from_fn(|| reserve.give().then_some(())).count();
        assert_eq!(steps as u64, BYTES / STEP - 1);
        assert!(!reserve.give());
        let mut reserve = Reserve::of(&store);
        assert!(reserve.fill() && on_disk() == whole);
    }

    #[test]
    fn a_link_in_its_place_is_not_followed_and_the_store_works_without_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("store.sqlite");
        let aim = directory.path().join("aim");
        std::os::unix::fs::symlink(&aim, store.with_extension("reserve")).unwrap();
        let mut reserve = Reserve::of(&store);
        assert!(reserve.fill() && !reserve.give() && !aim.exists());
    }
}
