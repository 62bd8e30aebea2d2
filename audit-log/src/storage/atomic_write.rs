//! Small files that are replaced or read as a whole.

use std::io;
use std::path::Path;

pub(crate) use trusted_files::write_atomically;

/// A file's bytes; `None` when there is no such file.
pub(crate) fn read_optional(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
