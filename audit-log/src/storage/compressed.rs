//! Compressed segment (zstd), read at offsets like the file it was made from: forward in constant
//! memory, backward by decoding again from the start.
//!
//! Wrong bytes give `InvalidData`. Not for: making one (`maintenance::compress`).

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::sync::{Mutex, PoisonError};

use zstd::stream::read::Decoder;

use crate::storage::disk::DiskFile;

/// How far back a reader may go without decoding again: more than a frame and what is read ahead.
const KEPT: usize = 4 << 20;
const CHUNK: usize = 256 << 10;
/// The largest window that is decoded, 2^n bytes: a larger window was not written by this program.
const WINDOW_LOG: u32 = 23;
/// The longest head of a zstd frame (RFC 8878, 3.1.1.1).
const HEAD_BYTES: u64 = 18;

pub(crate) struct CompressedSegment {
    file: File,
    /// The size of the segment.
    bytes: u64,
    stream: Mutex<Option<Stream>>,
}

struct Stream {
    decoder: Decoder<'static, BufReader<File>>,
    /// The last decoded bytes, up to `at`.
    kept: Vec<u8>,
    at: u64,
}

fn invalid(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl CompressedSegment {
    pub(crate) fn open(mut file: File) -> io::Result<Self> {
        let mut head = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        (&file).take(HEAD_BYTES).read_to_end(&mut head)?;
        let bytes = zstd::zstd_safe::get_frame_content_size(&head).ok().flatten();
        let bytes = bytes.ok_or_else(|| invalid("the head of the compressed segment is damaged"))?;
        Ok(Self { file, bytes, stream: Mutex::new(None) })
    }
}

impl Stream {
    fn begin(file: &File) -> io::Result<Self> {
        let mut file = file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        let mut decoder = Decoder::new(file)?.single_frame();
        decoder.window_log_max(WINDOW_LOG)?;
        Ok(Self { decoder, kept: Vec::new(), at: 0 })
    }

    fn has(&self, offset: u64) -> bool {
        let first = self.at - u64::try_from(self.kept.len()).unwrap_or_default();
        offset >= first
    }

    /// Decodes up to `end` of `bytes`, and at the very end makes sure that nothing follows.
    fn decode(&mut self, end: u64, bytes: u64) -> io::Result<()> {
        while self.at < end {
            let from = self.kept.len();
            self.kept.resize(from + CHUNK, 0);
            let count = self.decoder.read(self.kept.get_mut(from..).unwrap_or_default()).map_err(invalid)?;
            self.kept.truncate(from + count);
            self.at += u64::try_from(count).unwrap_or_default();
            if count == 0 || self.at > bytes {
                return Err(invalid("the compressed segment does not have the size that its head says"));
            }
        }
        if self.at == bytes {
            let more = self.decoder.read(&mut [0]).map_err(invalid)? > 0;
            if more || !self.decoder.get_mut().fill_buf()?.is_empty() {
                return Err(invalid("there are bytes after the end of the compressed segment"));
            }
        }
        Ok(())
    }
}

impl DiskFile for CompressedSegment {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.saturating_add(u64::try_from(buffer.len()).unwrap_or(u64::MAX));
        if end > self.bytes {
            return Err(invalid("the compressed segment ends before that"));
        }
        let mut place = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken out: after an error the next read decodes from the start.
        let mut stream = match place.take().filter(|stream| stream.has(offset)) {
            Some(stream) => stream,
            None => Stream::begin(&self.file)?,
        };
        loop {
            let step = end.min(stream.at.saturating_add(CHUNK as u64));
            stream.decode(step, self.bytes)?;
            let surplus = stream.kept.len().saturating_sub(KEPT);
            let before = stream.at - u64::try_from(stream.kept.len()).unwrap_or_default();
            let free = usize::try_from(offset.saturating_sub(before)).unwrap_or(usize::MAX);
            if surplus >= KEPT {
                stream.kept.drain(..surplus.min(free));
            }
            if stream.at >= end {
                break;
            }
        }
        let before = stream.at - u64::try_from(stream.kept.len()).unwrap_or_default();
        let from = usize::try_from(offset - before).map_err(invalid)?;
        let found = stream.kept.get(from..from + buffer.len()).ok_or_else(|| invalid("too short"))?;
        buffer.copy_from_slice(found);
        *place = Some(stream);
        Ok(())
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.bytes)
    }
}
