//! Small files that are replaced as a whole, so that a reader sees the old one or the new one.
//!
//! Not for: segments.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::format::corruption::{ReadError, io_error};

/// Replaces a file durably: a new one beside it, synced, renamed, the directory synced.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), ReadError> {
    let write = || {
        let beside = path.with_extension("new");
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o644).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(|error| io_error(&path.to_string_lossy(), error))
}

/// A file's bytes, if there is one.
pub(crate) fn read_optional(path: &Path) -> Result<Option<Vec<u8>>, ReadError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error(&path.to_string_lossy(), error)),
    }
}
