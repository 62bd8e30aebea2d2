//! The real disk: a directory that is held open and locked. Files are opened relative to it, so
//! that a swapped path cannot redirect them and a moved directory is noticed.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};

use crate::error::OpenError;
use crate::storage::disk::{Disk, DiskFile, PendingFile};

/// A directory that this process alone writes.
#[derive(Clone)]
pub(crate) struct Directory {
    path: Arc<PathBuf>,
    handle: Arc<LockedFile>,
}

/// An open file with its lock. Dropping unlocks: a child that another thread just forked still holds the file open
/// until it executes its program, and closing here would leave the lock with it.
struct LockedFile(File);

impl Deref for LockedFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        // Where it fails, the kernel unlocks when the last copy is closed.
        let _ = self.0.unlock();
    }
}

impl Directory {
    /// Opens the directory and takes its lock, which lives on the directory itself and ends with
    /// the process.
    pub(crate) fn lock(path: &Path) -> Result<Self, OpenError> {
        let handle = File::open(path).map_err(|source| {
            let path = path.to_owned();
            if source.kind() == io::ErrorKind::NotFound {
                OpenError::Missing { path }
            } else {
                OpenError::Io { doing: "cannot open the audit directory", path, source }
            }
        })?;
        trusted_files::check_directory(path)?;
        match handle.try_lock() {
            Ok(()) => Ok(Self { path: Arc::new(path.to_owned()), handle: Arc::new(LockedFile(handle)) }),
            Err(std::fs::TryLockError::WouldBlock) => Err(OpenError::Locked { path: path.to_owned() }),
            Err(std::fs::TryLockError::Error(source)) => {
                Err(OpenError::Io { doing: "cannot lock the audit directory", path: path.to_owned(), source })
            }
        }
    }
}

impl DiskFile for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync_data(self)
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

impl Disk for Directory {
    type File = File;

    fn names(&self) -> io::Result<Vec<String>> {
        names(&self.handle)
    }

    fn open(&self, name: &str) -> io::Result<File> {
        open(&self.handle, name, OFlags::RDWR)
    }

    fn create_zeroed(&self, name: &str, bytes: u64) -> io::Result<File> {
        create_zeroed(&self.handle, name, bytes, |_| Ok(()))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let flags = rustix::fs::RenameFlags::NOREPLACE;
        Ok(rustix::fs::renameat_with(&**self.handle, from, &**self.handle, to, flags)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&**self.handle, name, AtFlags::empty())?)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    fn is_in_place(&self) -> io::Result<()> {
        let found = Identity::of(rustix::fs::CWD, &*self.path, AtFlags::empty())
            .map_err(|error| io::Error::new(error.kind(), "the audit directory was moved or deleted"))?;
        if !found.is(&Identity::of_open(&self.handle)?) {
            return Err(io::Error::other("the audit directory was replaced by another one"));
        }
        Ok(())
    }

    fn verify_unchanged(&self, name: &str, file: &File, bytes: u64) -> io::Result<()> {
        self.is_in_place()?;
        let found = Identity::of(&**self.handle, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| io::Error::new(error.kind(), "the audit segment was moved or deleted"))?;
        if !found.is(&Identity::of_open(file)?) {
            return Err(io::Error::other("the audit segment was replaced by another file"));
        }
        if found.bytes != bytes {
            return Err(io::Error::other("the size of the audit segment was changed"));
        }
        Ok(())
    }

    fn prepare(&self, name: &'static str, bytes: u64) -> PendingFile<File> {
        let (maker, coming) = PendingFile::new();
        let directory = self.clone();
        // When no thread can be had, the maker is gone and the writer makes the file itself.
        let _ = std::thread::Builder::new().name("audit-prepare".to_owned()).spawn(move || {
            let made = create_zeroed(&directory.handle, name, bytes, |file| {
                if !maker.hurry.load(Ordering::Relaxed) {
                    // All at once would be one long sync, and every record behind it would wait.
                    let begun = Instant::now();
                    file.sync_data()?;
                    std::thread::sleep((begun.elapsed() * 3).min(LONGEST_PAUSE));
                }
                Ok(())
            });
            // The lock lives as long as any handle: it must be gone when the answer is there.
            drop(directory);
            let _ = maker.answer.send(made);
        });
        coming
    }
}

/// Bytes that are prepared at a time: while they are synced, a record waits no longer than for a
/// large batch.
const PIECE: u64 = 128 << 10;

/// The longest pause between two pieces that are prepared.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// A new file of zeros, written in pieces with `between` after each but the last; then durable.
fn create_zeroed(
    directory: &File,
    name: &str,
    bytes: u64,
    mut between: impl FnMut(&File) -> io::Result<()>,
) -> io::Result<File> {
    // Before anything is written: an attempt on a full disk must not take the last of it meanwhile.
    let disk = rustix::fs::fstatvfs(directory)?;
    (disk.f_bavail.saturating_mul(disk.f_frsize) >= bytes).then_some(()).ok_or(rustix::io::Errno::NOSPC)?;
    let file = open(directory, name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)?;
    let zeros = [0; PIECE as usize];
    let mut offset = 0;
    while offset < bytes {
        let step = (bytes - offset).min(PIECE);
        let chunk = zeros.get(..usize::try_from(step).unwrap_or_default()).unwrap_or_default();
        file.write_all_at(chunk, offset)?;
        offset += step;
        if offset < bytes {
            between(&file)?;
        }
    }
    file.sync_all()?;
    Ok(file)
}

/// Which file something is, and its size.
///
/// Never its times: since Linux 6.13 a file whose time was asked for gets a new one with the next
/// write, and without a journal the next `fdatasync` then writes the inode as well, which costs
/// half a sync more.
struct Identity {
    device: (u32, u32),
    inode: u64,
    bytes: u64,
}

impl Identity {
    fn of(directory: impl AsFd, name: impl rustix::path::Arg, flags: AtFlags) -> io::Result<Self> {
        let asked = StatxFlags::INO | StatxFlags::SIZE;
        let found = rustix::fs::statx(directory, name, flags, asked)?;
        let device = (found.stx_dev_major, found.stx_dev_minor);
        Ok(Self { device, inode: found.stx_ino, bytes: found.stx_size })
    }

    fn of_open(file: &File) -> io::Result<Self> {
        Self::of(file, c"", AtFlags::EMPTY_PATH)
    }

    fn is(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// A directory that is only read: of a log that another process writes, or of a copy. Takes no
/// lock.
#[derive(Clone)]
pub(crate) struct ReadOnly(Arc<File>);

impl ReadOnly {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(Arc::new(File::open(path)?)))
    }

    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        names(&self.0)
    }

    pub(crate) fn file(&self, name: &str) -> io::Result<File> {
        open(&self.0, name, OFlags::RDONLY)
    }
}

fn names(directory: &File) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The names of all files in the directory at that path.
pub(crate) fn names_in(path: &Path) -> io::Result<Vec<String>> {
    names(&File::open(path)?)
}

fn open(directory: &File, name: &str, flags: OFlags) -> io::Result<File> {
    // A pipe would wait for its other end.
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file: File = rustix::fs::openat(directory, name, flags, Mode::RUSR | Mode::WUSR)?.into();
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    #[test]
    fn the_lock_ends_with_its_holder_although_a_forked_child_has_the_directory_open() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Directory::lock(directory.path()).unwrap();
        // What a child between fork and exec holds: a copy of the same open file.
        let child = disk.handle.try_clone().unwrap();
        assert!(matches!(Directory::lock(directory.path()), Err(OpenError::Locked { .. })));
        drop(disk);
        Directory::lock(directory.path()).unwrap();
        drop(child);
    }

    #[test]
    fn a_prepared_file_is_whole_whether_the_writer_waits_for_it_or_not() {
        const BYTES: u64 = (3 << 20) + 4096;
        let directory = tempfile::tempdir().unwrap();
        let disk = Directory::lock(directory.path()).unwrap();
        let hurried = disk.prepare("hurried", BYTES).wait().unwrap().unwrap();
        let coming = disk.prepare("patient", BYTES);
        let patient = loop {
            match coming.poll() {
                Some(made) => break made.unwrap(),
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        for (name, file) in [("hurried", hurried), ("patient", patient)] {
            let mut bytes = vec![1; usize::try_from(BYTES).unwrap()];
            file.read_exact_at(&mut bytes, 0).unwrap();
            assert!(bytes.iter().all(|byte| *byte == 0), "{name}");
            disk.verify_unchanged(name, &file, BYTES).unwrap();
        }
    }
}
