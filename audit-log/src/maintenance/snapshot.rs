//! Snapshot for backups, beside the running service: whole files, and the durable part of the
//! newest segment.
//!
//! Not for: where the copy goes (`backup`).

use std::fs::File;
use std::io;
use std::path::Path;

use crate::format::corruption::{ReadError, io_error};
use crate::format::names::{CHECKPOINT, KEY_CHANGES};
use crate::read::chain::Chain;
use crate::read::cursor::step_with_retry;
use crate::read::frame_reader::{FrameEvent, FrameReader};
use crate::read::source::{Segment, SegmentFile, Source};
use crate::storage::atomic_write::open_optional;
use crate::storage::directory::names_in;
use crate::storage::disk::DiskFile;

/// One file of the copy.
#[derive(Debug)]
pub struct SnapshotFile {
    /// Its name in the log's directory.
    pub name: String,
    /// The open file: a rename in the meantime does not change what is copied.
    pub file: File,
    /// This many bytes of it are copied; zeros follow up to `bytes`.
    pub written: u64,
    /// Size of the copy.
    pub bytes: u64,
}

/// A consistent set of files, and the number of records in it.
#[derive(Debug)]
pub struct Snapshot {
    /// The files.
    pub files: Vec<SnapshotFile>,
    /// Records in them.
    pub records: u64,
}

/// The files of a copy of this log. Derived files are left out: a start rebuilds them.
///
/// # Errors
/// When the directory cannot be read or the newest segment is damaged.
pub fn snapshot(directory: &Path) -> Result<Snapshot, ReadError> {
    let open = |name: &str| open_optional(&directory.join(name)).map_err(|error| io_error(name, error));
    let gone = |name: &str| io_error(name, io::ErrorKind::NotFound.into());
    let whole = |name: String, file: File| {
        let bytes = file.bytes().map_err(|error| io_error(&name, error))?;
        Ok::<_, ReadError>(SnapshotFile { name, file, written: bytes, bytes })
    };
    // Checkpoints first: no segment that is copied after them can lack what they cover.
    let mut files = Vec::new();
    let names = names_in(directory).map_err(|error| io_error("the directory", error))?;
    let signed =
        |name: &&String| *name == CHECKPOINT || *name == KEY_CHANGES || name.ends_with(".checkpoint");
    for name in names.iter().filter(signed) {
        files.extend(open(name)?.map(|file| whole(name.clone(), file)).transpose()?);
    }
    let source = Source::open(directory)?;
    let firsts = source.firsts()?;
    let mut records = 0;
    for &first in &firsts {
        let Segment { name, file, header } = source.segment(first)?;
        if Some(&first) != firsts.last() {
            files.push(whole(name.clone(), open(&name)?.ok_or_else(|| gone(&name))?)?);
            continue;
        }
        let mut chain = Chain::at(&header);
        let mut reader = FrameReader::new(&file, &name, header.bytes);
        while let FrameEvent::Frame { .. } = step_with_retry(&file, &mut reader, &mut chain, |_| ())? {}
        let (written, bytes) = (reader.offset, header.bytes);
        records = chain.size();
        if let SegmentFile::Plain(file) = file {
            files.push(SnapshotFile { name, file, written, bytes });
        } else {
            files.push(whole(name.clone(), open(&name)?.ok_or_else(|| gone(&name))?)?);
        }
    }
    Ok(Snapshot { files, records })
}
