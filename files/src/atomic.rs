//! Durable replacement of a whole file: a reader, also one after a power cut, sees the old file or
//! the new one.
//!
//! The one helper of the program for this. The new file gets a random name beside the old one, so
//! that nothing of the user is overwritten and two writers do not meet. A link at either name is
//! replaced, not followed. Not for: segments of the audit log, which are written in place.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};

/// A new file that takes the place of another when it is complete. Dropped before
/// [`commit`](Self::commit), it is removed.
#[derive(Debug)]
pub struct AtomicFile {
    /// Open, so that a directory that is exchanged meanwhile changes nothing.
    directory: File,
    file: File,
    temporary: OsString,
    target: PathBuf,
    committed: bool,
}

impl AtomicFile {
    /// Creates the new file beside `target`, with these permission bits.
    ///
    /// # Errors
    /// When the path has no file name, the kernel returns no randomness, or the file cannot be created.
    pub fn create(target: &Path, mode: u32) -> io::Result<Self> {
        let name = target.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let mut random = [0; 8];
        getrandom::fill(&mut random)
            .map_err(|error| io::Error::other(format!("the kernel returned no randomness: {error}")))?;
        let mut temporary = name.to_owned();
        temporary.push(format!(".{}.new", hex::encode(random)));
        let directory = open_directory(target)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&directory, &temporary, flags, Mode::from_raw_mode(mode))?.into();
        Ok(Self { directory, file, temporary, target: target.to_owned(), committed: false })
    }

    /// The file to write to.
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Its path until it is committed, for what opens files by name only.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.target.with_file_name(&self.temporary)
    }

    /// Makes the file durable, puts it in the place of the target and makes that durable.
    ///
    /// # Errors
    /// When the disk refuses; the target is then the old file or the new one.
    pub fn commit(self) -> io::Result<()> {
        self.rename(RenameFlags::empty())
    }

    /// As [`commit`](Self::commit), for a target that must not exist.
    ///
    /// # Errors
    /// When the target exists, or the disk refuses.
    pub fn commit_new(self) -> io::Result<()> {
        self.rename(RenameFlags::NOREPLACE)
    }

    fn rename(mut self, flags: RenameFlags) -> io::Result<()> {
        self.file.sync_all()?;
        let name = self.target.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        if flags.is_empty() {
            rustix::fs::renameat(&self.directory, &self.temporary, &self.directory, name)?;
        } else {
            rustix::fs::renameat_with(&self.directory, &self.temporary, &self.directory, name, flags)?;
        }
        self.committed = true;
        self.directory.sync_all()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.committed {
            let _ = rustix::fs::unlinkat(&self.directory, &self.temporary, AtFlags::empty());
        }
    }
}

/// Replaces a file durably with these bytes; a new file gets these permission bits.
///
/// # Errors
/// When the disk refuses; the path is then the old file or the new one.
pub fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let new = AtomicFile::create(path, mode)?;
    new.file().write_all(bytes)?;
    new.commit()
}

/// Makes the names in the directory of `path` durable.
///
/// # Errors
/// When the disk refuses.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    open_directory(path)?.sync_all()
}

/// Makes everything durable that is in the file system of `path`, a directory.
///
/// # Errors
/// When the disk refuses.
pub fn sync_file_system(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(path)?)?)
}

/// The directory that a path is in.
fn open_directory(path: &Path) -> io::Result<File> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, parent, flags, Mode::empty())?.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_is_replaced_and_no_file_beside_it_is_touched() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        // What an earlier version took for its own temporary file.
        std::fs::write(path("a.new"), "the user's").unwrap();
        for bytes in ["one", "two"] {
            write_atomically(&path("a.txt"), bytes.as_bytes(), 0o600).unwrap();
            write_atomically(&path("a.json"), b"{}", 0o644).unwrap();
            assert_eq!(std::fs::read_to_string(path("a.txt")).unwrap(), bytes);
        }
        assert_eq!(std::fs::read_to_string(path("a.new")).unwrap(), "the user's");
        drop(AtomicFile::create(&path("a.txt"), 0o600).unwrap());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 3);
        let mode = std::fs::metadata(path("a.txt")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        write_atomically(&path("absent/a.txt"), b"", 0o600).unwrap_err();
        write_atomically(Path::new("/"), b"", 0o600).unwrap_err();
    }

    #[test]
    fn a_link_is_replaced_and_what_it_names_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("store.sqlite"), "the store").unwrap();
        symlink(path("store.sqlite"), path("checkpoint")).unwrap();
        write_atomically(&path("checkpoint"), b"1", 0o600).unwrap();
        assert_eq!(std::fs::read_to_string(path("store.sqlite")).unwrap(), "the store");
        assert_eq!(std::fs::read_to_string(path("checkpoint")).unwrap(), "1");
        let new = AtomicFile::create(&path("store.sqlite"), 0o600).unwrap();
        assert_eq!(new.commit_new().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(path("store.sqlite")).unwrap(), "the store");
        AtomicFile::create(&path("fresh"), 0o600).unwrap().commit_new().unwrap();
        assert!(path("fresh").exists());
    }

    #[test]
    fn a_directory_that_is_exchanged_meanwhile_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::create_dir(path("ours")).unwrap();
        std::fs::create_dir(path("theirs")).unwrap();
        let new = AtomicFile::create(&path("ours/a"), 0o600).unwrap();
        std::fs::rename(path("ours"), path("moved")).unwrap();
        symlink(path("theirs"), path("ours")).unwrap();
        new.file().write_all(b"1").unwrap();
        new.commit().unwrap();
        assert_eq!(std::fs::read_to_string(path("moved/a")).unwrap(), "1");
        assert_eq!(std::fs::read_dir(path("theirs")).unwrap().count(), 0);
    }
}
