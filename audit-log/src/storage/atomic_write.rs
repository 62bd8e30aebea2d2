//! Durable replacement of a whole file: a reader, also one after a power cut, sees the old file or
//! the new one.
//!
//! The one helper of the program for this. The new file gets a random name beside the old one, so
//! that nothing of the user is overwritten and two writers do not meet. Not for: segments, which
//! are written in place.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// A new file that takes the place of another when it is complete. Dropped before
/// [`commit`](Self::commit), it is removed.
#[derive(Debug)]
pub struct AtomicFile {
    file: File,
    temporary: PathBuf,
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
        let temporary = target.with_file_name(temporary);
        let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
        let file =
            File::options().write(true).create_new(true).mode(mode).custom_flags(flags).open(&temporary)?;
        Ok(Self { file, temporary, target: target.to_owned(), committed: false })
    }

    /// The file to write to.
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Its path until it is committed.
    pub fn path(&self) -> &Path {
        &self.temporary
    }

    /// Makes the file durable, puts it in the place of the target and makes that durable.
    ///
    /// # Errors
    /// When the disk refuses; the target is then the old file or the new one.
    pub fn commit(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        std::fs::rename(&self.temporary, &self.target)?;
        self.committed = true;
        let parent = self.target.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.committed {
            let _ = std::fs::remove_file(&self.temporary);
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

/// A file's bytes; `None` when there is no such file.
pub(crate) fn read_optional(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

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
        write_atomically(&path("absent/a.txt"), b"", 0o600).unwrap_err();
        write_atomically(Path::new("/"), b"", 0o600).unwrap_err();
    }
}
