//! One process at a time has the data directory.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use crate::cli::error::Failed;
use crate::config::Data;

/// Held as long as it lives; the kernel lets it go when the process dies, however it dies.
#[derive(Debug)]
pub(in crate::cli) struct DataLock(#[expect(dead_code, reason = "closing the file unlocks it")] File);

/// Somebody else has it.
#[derive(Debug)]
pub(in crate::cli) struct Held {
    /// The process id that the holder wrote.
    pub(in crate::cli) pid: Option<u32>,
}

impl DataLock {
    /// Takes the lock, or says who has it.
    pub(in crate::cli) fn acquire(data: &Data) -> Result<Result<Self, Held>, Failed> {
        let path = data.lock();
        let directory = data.directory.display();
        let mode = std::fs::metadata(&data.directory)
            .map_err(|error| {
                Failed::while_trying(format!("cannot use the data directory {directory}"), &error)
            })?
            .mode();
        if mode & 0o022 != 0 {
            return Err(Failed::new(format!(
                "others can write the data directory {directory} (mode {:04o}); chmod go-w it",
                mode & 0o7777
            )));
        }
        let error =
            |error: std::io::Error| Failed::while_trying(format!("cannot lock {}", path.display()), &error);
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
        // The process id is for people; the lock is the kernel's.
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
    /// The sentence for whoever wanted the lock.
    pub(in crate::cli) fn failed(&self, data: &Data) -> Failed {
        // Our own number is somebody's in another container, which counts its processes by itself.
        let other = self.pid.filter(|pid| *pid != std::process::id());
        let pid = other.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
        Failed::new(format!(
            "{pid} is using the data directory {}; one process at a time may",
            data.directory.display()
        ))
    }
}
