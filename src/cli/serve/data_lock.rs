//! Lock of the data directory: one process at a time uses it.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;

use crate::cli::error::CliError;
use crate::config::Data;

/// The held lock. The kernel releases it when the process ends, however it ends.
#[derive(Debug)]
pub(in crate::cli) struct DataLock(#[expect(dead_code, reason = "closing the file unlocks it")] File);

/// Another process holds the lock.
#[derive(Debug)]
pub(in crate::cli) struct Held {
    /// The process id that the holder wrote.
    pub(in crate::cli) pid: Option<u32>,
}

impl DataLock {
    /// Takes the lock, or tells the holder.
    pub(in crate::cli) fn acquire(data: &Data) -> Result<Result<Self, Held>, CliError> {
        let path = data.lock();
        trusted_files::check_directory(&data.directory)
            .map_err(|error| CliError::context("cannot use the data directory", &error))?;
        let error =
            |error: std::io::Error| CliError::context(format!("cannot lock {}", path.display()), &error);
        let mut file =
            trusted_files::open_update(&path).map_err(|cause| error(std::io::Error::other(cause)))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                return Ok(Err(Held { pid: text.trim().parse().ok() }));
            }
            Err(std::fs::TryLockError::Error(cause)) => return Err(error(cause)),
        }
        // A command that ends just now may have removed the file that it had made: its lock locks nothing.
        let place = |found: std::fs::Metadata| (found.dev(), found.ino());
        if std::fs::metadata(&path).ok().map(place) != file.metadata().ok().map(place) {
            return Ok(Err(Held { pid: None }));
        }
        // The process id is information only; the kernel holds the lock.
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(error)?;
        Ok(Ok(Self(file)))
    }
}

impl Held {
    /// The error of the process that wanted the lock.
    pub(in crate::cli) fn error(&self, data: &Data) -> CliError {
        // Another container numbers its processes itself, so its id may equal ours.
        let other = self.pid.filter(|pid| *pid != std::process::id());
        let pid = other.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
        CliError::new(format!(
            "{pid} is using the data directory {}; only one process at a time can use it",
            data.directory.display()
        ))
    }
}
