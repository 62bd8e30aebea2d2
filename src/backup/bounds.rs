//! Bounds of a restore: an archive of a few bytes can name any number of them.

use std::io;
use std::path::Path;

use super::error::BackupError;

/// The most files of an archive.
const MAX_FILES: u64 = 1_000_000;
/// The largest segment of an audit log, and the largest store, bytes.
const MAX_FILE_BYTES: u64 = 4 << 30;
/// The largest object of a SoftHSM token, bytes.
const MAX_TOKEN_FILE_BYTES: u64 = 1 << 20;
/// What stays free on the disk, bytes.
const RESERVE_BYTES: u64 = 64 << 20;

/// What an archive may still hold.
pub(super) struct Bounds {
    files: u64,
    bytes: u64,
}

impl Bounds {
    /// What fits on the disk of a directory.
    pub(super) fn of(directory: &Path) -> io::Result<Self> {
        let disk = rustix::fs::statvfs(directory)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        Ok(Self { files: MAX_FILES, bytes: free.saturating_sub(RESERVE_BYTES) })
    }

    /// Takes a file of that size, before anything of it is read.
    pub(super) fn take(&mut self, name: &str, bytes: u64) -> Result<(), BackupError> {
        let most = if name.starts_with("token/") { MAX_TOKEN_FILE_BYTES } else { MAX_FILE_BYTES };
        if bytes > most {
            return Err(BackupError::TooLarge(format!("{name} has {bytes} bytes; at most {most} are read")));
        }
        self.files = self
            .files
            .checked_sub(1)
            .ok_or_else(|| BackupError::TooLarge(format!("it has more than {MAX_FILES} files")))?;
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(|| {
            BackupError::TooLarge(format!("the disk has no space for {name}; it needs {bytes} bytes more"))
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    #[test]
    fn size_of_a_file_number_of_files_and_space_on_the_disk_are_bounded() {
        let mut bounds = Bounds { files: 3, bytes: 2 * MAX_FILE_BYTES };
        bounds.take("token/tokens/a", MAX_TOKEN_FILE_BYTES + 1).unwrap_err();
        bounds.take("audit/a", MAX_FILE_BYTES + 1).unwrap_err();
        bounds.take("audit/a", MAX_FILE_BYTES).unwrap();
        bounds.take("token/tokens/a", MAX_TOKEN_FILE_BYTES).unwrap();
        bounds.take("audit/b", MAX_FILE_BYTES).unwrap_err();
        let mut bounds = Bounds { files: 1, bytes: 2 };
        bounds.take("store.sqlite", 1).unwrap();
        bounds.take("store.sqlite", 1).unwrap_err();
    }
}
