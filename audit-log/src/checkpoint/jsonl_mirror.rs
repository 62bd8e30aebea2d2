//! Copy of the log as one growing file of JSON lines, for log shippers that cannot read segments.
//!
//! No signature waits for it. After a log shipper rotates it away, a new file continues with the
//! next record, also after a restart: a small file in the directory of the log holds the number of
//! that record. Not for: readers of the log itself (`lines`).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use crate::format::corruption::{ReadError, io_error};
use crate::format::names::MIRRORED;
use crate::format::record::MAX_RECORD_BYTES;
use crate::format::view::seq_of_line;
use crate::read::cursor::Cursor;
use crate::read::source::Source;
use crate::storage::atomic_write::read_optional;

/// The file and the position in the log.
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
        let mut file =
            trusted_files::open_append(&self.path, 0o640).map_err(|error| failed(io::Error::other(error)))?;
        let mut cursor = match self.cursor.take() {
            Some(cursor) => cursor,
            None => {
                let next = match resume(&mut file).map_err(failed)? {
                    Some(next) => next,
                    None => self.stopped()?,
                };
                Cursor::new(Source::open(&self.directory)?, next)
            }
        };
        let mut bytes = Vec::new();
        let mut next = None;
        loop {
            bytes.clear();
            // After an error the cursor is dropped; the next update reads the position from the
            // file.
            let moved = cursor.advance(size, |record| {
                record.line(&mut bytes);
                bytes.push(b'\n');
                next = Some(record.view.seq + 1);
            })?;
            file.write_all(&bytes).map_err(failed)?;
            if !moved {
                break;
            }
        }
        if let Some(next) = next {
            std::fs::write(self.directory.join(MIRRORED), next.to_string()).map_err(failed)?;
        }
        self.cursor = Some(cursor);
        Ok(())
    }

    /// The next record, for a file without a line.
    fn stopped(&self) -> Result<u64, ReadError> {
        let text = read_optional(&self.directory.join(MIRRORED))
            .map_err(|error| io_error(MIRRORED, error))?
            .unwrap_or_default();
        Ok(std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()).unwrap_or_default())
    }
}

/// The number after the last whole line, if there is one. Removes a partial line.
fn resume(file: &mut File) -> io::Result<Option<u64>> {
    let end = file.metadata()?.len();
    let tail = u64::try_from(2 * MAX_RECORD_BYTES).unwrap_or_default().min(end);
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(end - tail))?;
    file.read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let kept = bytes.get(..whole).unwrap_or_default();
    file.set_len(end - tail + u64::try_from(whole).unwrap_or_default())?;
    let last = kept.strip_suffix(b"\n").and_then(|kept| kept.rsplit(|&byte| byte == b'\n').next());
    Ok(last.and_then(seq_of_line).map(|seq| seq + 1))
}
