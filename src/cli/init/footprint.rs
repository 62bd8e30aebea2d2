//! The data directory and its locks as a command found them: what the command made of them is removed again.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use crate::cli::error::CliError;
use crate::config::Data;

/// What was not there before.
pub(in crate::cli) struct Footprint {
    /// Deepest first.
    directories: Vec<PathBuf>,
    locks: Vec<PathBuf>,
}

impl Footprint {
    /// Makes the data directory where it is missing.
    pub(in crate::cli) fn make(data: &Data) -> Result<Self, CliError> {
        let directory = std::path::absolute(&data.directory).unwrap_or_else(|_| data.directory.clone());
        let missing = |path: &&std::path::Path| !path.exists();
        let directories = directory.ancestors().take_while(missing).map(Into::into).collect();
        let locks = [data.token_lock(), data.lock()].into_iter().filter(|path| !path.exists()).collect();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(|error| {
            CliError::context(format!("cannot create {}", directory.display()), &error)
                .with_hint("name a directory that you may create with --data")
        })?;
        Ok(Self { directories, locks })
    }

    /// Removes it. The caller holds the lock of the data directory until this returns. A directory with anything else
    /// in it stays.
    pub(in crate::cli) fn remove(self) {
        for lock in self.locks {
            let _ = fs::remove_file(lock);
        }
        for directory in self.directories {
            if fs::remove_dir(directory).is_err() {
                break;
            }
        }
    }
}
