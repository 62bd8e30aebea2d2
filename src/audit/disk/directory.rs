//! The real disk: a directory held open and locked; files are found relative to it, so a path swap cannot redirect
//! them and a moved directory is noticed.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use rustix::fs::{AtFlags, Mode, OFlags};

use super::{Disk, DiskFile};
use crate::audit::settings::OpenError;

/// A directory that this process alone writes.
#[derive(Clone)]
pub(crate) struct Directory {
    path: Arc<PathBuf>,
    handle: Arc<File>,
}

impl Directory {
    /// Opens the directory and takes its lock, which lives on the directory itself and ends with the process.
    pub(crate) fn lock(path: &Path) -> Result<Self, OpenError> {
        let handle = File::open(path).map_err(|source| {
            let path = path.to_owned();
            if source.kind() == io::ErrorKind::NotFound {
                OpenError::Missing { path }
            } else {
                OpenError::Io { doing: "cannot open the audit directory", path, source }
            }
        })?;
        match handle.try_lock() {
            Ok(()) => Ok(Self { path: Arc::new(path.to_owned()), handle: Arc::new(handle) }),
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
        let file = open(&self.handle, name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL)?;
        let zeros = vec![0; 1 << 20];
        let mut offset = 0;
        while offset < bytes {
            let step = (bytes - offset).min(1 << 20);
            let chunk = zeros.get(..usize::try_from(step).unwrap_or_default()).unwrap_or_default();
            file.write_all_at(chunk, offset)?;
            offset += step;
        }
        file.sync_all()?;
        Ok(file)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let flags = rustix::fs::RenameFlags::NOREPLACE;
        Ok(rustix::fs::renameat_with(&*self.handle, from, &*self.handle, to, flags)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&*self.handle, name, AtFlags::empty())?)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    fn still_there(&self, name: &str, file: &File, bytes: u64) -> io::Result<()> {
        let ours = self.handle.metadata()?;
        let found = std::fs::metadata(&*self.path)
            .map_err(|error| io::Error::new(error.kind(), "the audit directory was moved or deleted"))?;
        if (ours.dev(), ours.ino()) != (found.dev(), found.ino()) {
            return Err(io::Error::other("the audit directory was replaced by another one"));
        }
        let ours = file.metadata()?;
        let found = rustix::fs::statat(&*self.handle, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| {
            io::Error::new(io::Error::from(error).kind(), "the audit segment was moved or deleted")
        })?;
        if (ours.dev(), ours.ino()) != (found.st_dev, found.st_ino) {
            return Err(io::Error::other("the audit segment was replaced by another file"));
        }
        if ours.len() != bytes {
            return Err(io::Error::other("the size of the audit segment was changed"));
        }
        Ok(())
    }

    fn prepare(&self, name: &'static str, bytes: u64) -> mpsc::Receiver<io::Result<File>> {
        let (done, receiver) = mpsc::channel();
        let directory = self.clone();
        // When no thread can be had, the sender is gone and the writer makes the file itself.
        let _ = std::thread::Builder::new().name("audit-prepare".to_owned()).spawn(move || {
            let made = directory.create_zeroed(name, bytes);
            // The lock lives as long as any handle: it must be gone when the answer is there.
            drop(directory);
            let _ = done.send(made);
        });
        receiver
    }
}

/// A directory that is only read: of a log that another process writes, or of a copy. Takes no lock.
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

fn open(directory: &File, name: &str, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(rustix::fs::openat(directory, name, flags, Mode::RUSR | Mode::WUSR)?.into())
}
