//! One process per token: an advisory lock on a file that names its holder. Not for threads.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::OpenError;

/// Held for as long as the process uses the token; the kernel lets go of it when the process dies.
#[derive(Debug)]
pub(crate) struct TokenLock {
    file: File,
}

impl Drop for TokenLock {
    fn drop(&mut self) {
        // Closing would leave the lock with a child that another thread has just forked.
        let _ = self.file.unlock();
    }
}

impl TokenLock {
    pub(crate) fn take(path: &Path) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::LockFile { lock: path.to_owned(), source };
        let mut file =
            trusted_files::open_update(path).map_err(|error| unusable(std::io::Error::other(error)))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Best effort: the holder may be writing its number just now.
                let _ = Read::by_ref(&mut file).take(32).read_to_string(&mut text);
                return Err(OpenError::AlreadyRunning {
                    lock: path.to_owned(),
                    holder: text.trim().parse().ok(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(unusable)?;
        Ok(Self { file })
    }

    /// The directory of one SoftHSM token: another installation has its lock file elsewhere. A process that SoftHSM keeps
    /// from rewriting `token.object` sees no lease that others write, and this lock needs no look.
    pub(crate) fn of_directory(path: &Path) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::LockFile { lock: path.to_owned(), source };
        let file = File::open(path).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => {
                Err(OpenError::AlreadyRunning { lock: path.to_owned(), holder: None })
            }
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// Device and inode of the file: while this lock is held, no other process has had it since the boot.
    pub(crate) fn identity(&self) -> Result<(u64, u64), OpenError> {
        let found = self.file.metadata();
        let found =
            found.map_err(|source| OpenError::Host { what: "the lock file cannot be read", source })?;
        Ok((found.dev(), found.ino()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)] // a failed unwrap is a failed test
    use super::*;

    #[test]
    fn a_second_holder_is_refused_with_the_number_of_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let first = TokenLock::take(&path).unwrap();
        match TokenLock::take(&path).unwrap_err() {
            OpenError::AlreadyRunning { lock, holder } => {
                assert_eq!(lock, path);
                assert_eq!(holder, Some(std::process::id()));
            }
            other => unreachable!("{other}"),
        }
        let child = first.file.try_clone().unwrap();
        drop(first);
        TokenLock::take(&path).unwrap();
        drop(child);
    }

    #[test]
    fn a_token_directory_is_used_by_one_process() {
        let directory = tempfile::tempdir().unwrap();
        let first = TokenLock::of_directory(directory.path()).unwrap();
        match TokenLock::of_directory(directory.path()).unwrap_err() {
            OpenError::AlreadyRunning { lock, holder: None } => assert_eq!(lock, directory.path()),
            other => unreachable!("{other}"),
        }
        drop(first);
        TokenLock::of_directory(directory.path()).unwrap();
    }

    #[test]
    fn a_lock_that_cannot_be_made_is_named() {
        let error = TokenLock::take(Path::new("/nonexistent/lock")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/lock"));
    }
}
