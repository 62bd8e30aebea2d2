//! A copy of the log as one growing file of JSON lines, for log shippers that know nothing of segments.
//!
//! It proves nothing and is not waited for. When it is rotated away it is begun anew where it stopped.
//! Not for: readers of the log itself (`lines`).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use super::fault::ReadError;
use super::read::{Cursor, Source, io_error};
use super::record::{MAX_RECORD_BYTES, View};

/// The file and how far it is.
pub(crate) struct Mirror {
    path: PathBuf,
    directory: PathBuf,
    cursor: Option<Cursor>,
}

impl Mirror {
    pub(crate) const fn new(path: PathBuf, directory: PathBuf) -> Self {
        Self { path, directory, cursor: None }
    }

    /// Appends the records up to the durable head.
    pub(crate) fn update(&mut self, size: u64) -> Result<(), ReadError> {
        let failed = |error| io_error("the mirror", error);
        let mut file = File::options()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o640)
            .open(&self.path)
            .map_err(failed)?;
        let cursor = match &mut self.cursor {
            Some(cursor) => cursor,
            None => {
                let next = resume(&mut file).map_err(failed)?;
                self.cursor.insert(Cursor::new(Source::open(&self.directory)?, next))
            }
        };
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let moved = cursor.advance(size, |record| {
                bytes.extend_from_slice(record.bytes);
                bytes.push(b'\n');
            })?;
            if let Err(error) = file.write_all(&bytes) {
                // Where it stopped is read from the file next time.
                self.cursor = None;
                return Err(failed(error));
            }
            if !moved {
                return Ok(());
            }
        }
    }
}

/// The number after the last whole line; a line that was cut is removed.
fn resume(file: &mut File) -> io::Result<u64> {
    let end = file.metadata()?.len();
    let tail = u64::try_from(2 * MAX_RECORD_BYTES).unwrap_or_default().min(end);
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(end - tail))?;
    file.read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let kept = bytes.get(..whole).unwrap_or_default();
    file.set_len(end - tail + u64::try_from(whole).unwrap_or_default())?;
    let last = kept.strip_suffix(b"\n").and_then(|kept| kept.rsplit(|&byte| byte == b'\n').next());
    Ok(last.and_then(View::of).map_or(0, |view| view.seq + 1))
}
