//! Lock of the data directory: one process at a time uses it.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

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
        let directory = data.directory.display();
        let mode = std::fs::metadata(&data.directory)
            .map_err(|error| CliError::context(format!("cannot use the data directory {directory}"), &error))?
            .mode();
        if mode & 0o022 != 0 {
            return Err(CliError::new(format!(
                "other users can write the data directory {directory} (mode {:04o}); run `chmod go-w` on it",
                mode & 0o7777
            )));
        }
        let error =
            |error: std::io::Error| CliError::context(format!("cannot lock {}", path.display()), &error);
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(error)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                return Ok(Err(Held { pid: text.trim().parse().ok() }));
            }
            Err(std::fs::TryLockError::Error(cause)) => return Err(error(cause)),
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
