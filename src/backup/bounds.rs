//! Bounds of a restore: an archive of a few bytes can name any number of them.

use std::io;
use std::os::unix::fs::MetadataExt;
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
    disks: Vec<Disk>,
}

/// One file system, and the entries that go to it, by the first component of their names.
struct Disk {
    device: u64,
    names: Vec<&'static str>,
    bytes: u64,
}

impl Bounds {
    /// What fits on the disks of these directories.
    pub(super) fn of<'a>(places: impl Iterator<Item = (&'static str, &'a Path)>) -> io::Result<Self> {
        let mut disks: Vec<Disk> = Vec::new();
        for (name, directory) in places {
            let device = std::fs::metadata(directory)?.dev();
            if let Some(disk) = disks.iter_mut().find(|disk| disk.device == device) {
                disk.names.push(name);
                continue;
            }
            let disk = rustix::fs::statvfs(directory)?;
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            disks.push(Disk { device, names: vec![name], bytes: free.saturating_sub(RESERVE_BYTES) });
        }
        Ok(Self { files: MAX_FILES, disks })
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
        let top = name.split('/').next().unwrap_or_default();
        let disk = self.disks.iter_mut().find(|disk| disk.names.contains(&top));
        let disk = disk.ok_or_else(|| BackupError::Damaged(format!("unexpected entry {name}")))?;
        disk.bytes = disk.bytes.checked_sub(bytes).ok_or_else(|| {
            BackupError::TooLarge(format!("the disk has no space for {name}; it needs {bytes} bytes more"))
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    fn bounds(files: u64, disks: &[(&[&'static str], u64)]) -> Bounds {
        let disk = |(device, (names, bytes)): (usize, &(&[&'static str], u64))| Disk {
            device: device as u64,
            names: names.to_vec(),
            bytes: *bytes,
        };
        Bounds { files, disks: disks.iter().enumerate().map(disk).collect() }
    }

    #[test]
    fn size_of_a_file_number_of_files_and_space_on_the_disk_are_bounded() {
        let mut both = bounds(3, &[(&["token", "audit"], 2 * MAX_FILE_BYTES)]);
        both.take("token/tokens/a", MAX_TOKEN_FILE_BYTES + 1).unwrap_err();
        both.take("audit/a", MAX_FILE_BYTES + 1).unwrap_err();
        both.take("audit/a", MAX_FILE_BYTES).unwrap();
        both.take("token/tokens/a", MAX_TOKEN_FILE_BYTES).unwrap();
        both.take("audit/b", MAX_FILE_BYTES).unwrap_err();
        let mut one = bounds(1, &[(&["store.sqlite"], 2)]);
        one.take("store.sqlite", 1).unwrap();
        one.take("store.sqlite", 1).unwrap_err();
    }

    #[test]
    fn each_disk_has_a_space_of_its_own() {
        let mut two = bounds(9, &[(&["store.sqlite", "token"], 1), (&["audit"], 2)]);
        two.take("audit/a", 2).unwrap();
        two.take("store.sqlite", 1).unwrap();
        two.take("token/tokens/a", 1).unwrap_err();
        two.take("audit/b", 1).unwrap_err();
        two.take("elsewhere/b", 0).unwrap_err();
    }
}
