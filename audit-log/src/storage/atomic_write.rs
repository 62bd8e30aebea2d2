//! Small files that are replaced or read as a whole.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

pub(crate) use trusted_files::write_atomically;

/// A file's bytes; `None` when there is no such file.
pub(crate) fn read_optional(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let Some(mut file) = open_optional(path)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// A file, to read it; `None` when there is no such file.
///
/// This program writes no link and no pipe: one in its place counts as no file, and no place beyond it is read.
pub(crate) fn open_optional(path: &Path) -> io::Result<Option<File>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file: File = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => file.into(),
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => return Ok(ignored(path)),
        Err(error) => return Err(error.into()),
    };
    if !file.metadata()?.is_file() {
        return Ok(ignored(path));
    }
    Ok(Some(file))
}

fn ignored(path: &Path) -> Option<File> {
    tracing::warn!(path = %path.display(), "this is not a regular file; it is ignored");
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    #[test]
    fn a_link_and_a_pipe_are_no_file_and_lead_nowhere() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("file"), "bytes").unwrap();
        std::os::unix::fs::symlink(path("file"), path("link")).unwrap();
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert_eq!(read_optional(&path("file")).unwrap().unwrap(), b"bytes");
        for name in ["link", "pipe", "absent"] {
            assert_eq!(read_optional(&path(name)).unwrap(), None, "{name}");
        }
        read_optional(directory.path().join("file/below").as_path()).unwrap_err();
    }
}
