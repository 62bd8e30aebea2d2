//! Reads of an open log: pages, records by number and by time, the newest stamp. All but the pages block.

use super::AuditLog;
use crate::format::corruption::{ReadError, io_error};
use crate::format::record::StoreStamp;
use crate::read::lines::{self, Line, Lines};
use crate::read::page::{self, Page};
use crate::read::source::Source;
use crate::read::store_stamp::{self, FoundStamp};

/// What the log has under a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundRecord {
    /// The record.
    Here(Line),
    /// Its segment was moved away; later ones are here.
    MovedAway,
    /// The log ends before it.
    Never,
}

impl AuditLog {
    /// The newest stamp in the log that is authentic; the other part is the number of its intent. Reads segments from
    /// the newest one back, and answers no further than it must.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn newest_stamp(
        &self,
        is_authentic: impl Fn(u64, &StoreStamp) -> bool,
    ) -> Result<FoundStamp, ReadError> {
        store_stamp::newest(&self.0.directory, is_authentic)
    }

    /// At most `limit` durable records after record `after` that concern the account, or any
    /// account without one.
    ///
    /// Reads the disk on tokio's blocking threads; looks at 50,000 records at most, so a page may
    /// be empty although its `next` moved.
    ///
    /// # Errors
    /// When the disk cannot be read.
    pub async fn page(&self, eoa: Option<String>, after: u64, limit: usize) -> Result<Page, ReadError> {
        let (directory, size) = (self.0.directory.clone(), self.head().size);
        let read = move || page::page(&Source::open(&directory)?, size, eoa.as_deref(), after, limit);
        tokio::task::spawn_blocking(read)
            .await
            .unwrap_or_else(|error| Err(io_error("the audit log", std::io::Error::other(error))))
    }

    /// The durable records from this number on. Reads the disk.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn lines_from(&self, seq: u64) -> Result<Lines, ReadError> {
        lines::lines(&self.0.directory, seq, None)
    }

    /// The record with this number. Reads its segment up to it.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn record_at(&self, seq: u64) -> Result<FoundRecord, ReadError> {
        Ok(match self.lines_from(seq)?.next().transpose()? {
            Some(line) if line.seq == seq => FoundRecord::Here(line),
            Some(_) => FoundRecord::MovedAway,
            None => FoundRecord::Never,
        })
    }

    /// The first record of the segment in which the records of a time begin, unix seconds; earlier segments have none
    /// of them, unless a clock was set back.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn segment_since(&self, since: u64) -> Result<u64, ReadError> {
        lines::segment_since(&self.0.directory, since)
    }

    /// The first record of the segment before the one that begins with this record; none for the oldest.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn segment_before(&self, first: u64) -> Result<Option<u64>, ReadError> {
        let firsts = Source::open(&self.0.directory)?.firsts()?;
        Ok(firsts.into_iter().rev().find(|&other| other < first))
    }
}
