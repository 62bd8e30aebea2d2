//! Records as lines of JSON, for people, `jq` and log shippers.
//!
//! Not for: writing them anywhere (the command line does).

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use crate::format::corruption::ReadError;
use crate::read::chain::Chain;
use crate::read::cursor::{Cursor, step_with_retry};
use crate::read::frame_reader::{FrameEvent, FrameReader};
use crate::read::source::{Segment, Source};

/// One record as it was written, without a line end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number.
    pub seq: u64,
    /// The JSON object.
    pub json: String,
}

impl Line {
    /// Whether a run of the service begins with the record.
    pub fn is_start(&self) -> bool {
        self.json.contains("\"kind\":\"start\"")
    }

    /// When the record was written, RFC 3339 in UTC with microseconds: texts of this form are in the
    /// order of their times.
    pub fn time(&self) -> Option<&str> {
        self.json.split_once("\"time\":\"").and_then(|(_, rest)| rest.get(..27))
    }

    /// Whether the record may be an intent or event of that operation. False is certain; the JSON
    /// is not parsed, so that a caller can skip most of a large log cheaply.
    pub fn may_be_of(&self, operation: &str) -> bool {
        self.json.contains(&format!("\"op\":\"{operation}\""))
    }
}

/// The lines of a log from some record on. Ends at the log's end, or waits there when it follows.
pub struct Lines {
    cursor: Cursor,
    follow: Option<Duration>,
    ready: VecDeque<Line>,
    failed: bool,
}

/// The lines from record `from` on; the first one may be later when older segments are not there.
/// With `follow` the iterator waits at the end and looks for new records that often.
///
/// # Errors
/// When the directory cannot be read.
pub fn lines(directory: &Path, from: u64, follow: Option<Duration>) -> Result<Lines, ReadError> {
    let source = Source::open(directory)?;
    Ok(Lines { cursor: Cursor::new(source, from), follow, ready: VecDeque::new(), failed: false })
}

/// The last `count` lines; with `follow` what comes after them, too.
///
/// # Errors
/// When the log cannot be read up to its end.
pub fn tail(directory: &Path, count: u64, follow: Option<Duration>) -> Result<Lines, ReadError> {
    let source = Source::open(directory)?;
    let mut size = 0;
    if let Some(&last) = source.firsts()?.last() {
        let Segment { name, file, header } = source.segment(last)?;
        let mut chain = Chain::at(&header);
        let mut reader = FrameReader::new(&file, &name, header.bytes);
        while let FrameEvent::Frame { .. } = step_with_retry(&file, &mut reader, &mut chain, |_| ())? {}
        size = chain.size();
    }
    lines(directory, size.saturating_sub(count), follow)
}

/// The first record of the newest segment that was begun at or before a time, unix seconds.
pub(crate) fn segment_since(directory: &Path, since: u64) -> Result<u64, ReadError> {
    let source = Source::open(directory)?;
    let mut from = 0;
    for first in source.firsts()?.into_iter().rev() {
        from = first;
        if source.segment(first)?.header.created_ns <= since.saturating_mul(1_000_000_000) {
            break;
        }
    }
    Ok(from)
}

impl Iterator for Lines {
    type Item = Result<Line, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.failed {
            if let Some(line) = self.ready.pop_front() {
                return Some(Ok(line));
            }
            let ready = &mut self.ready;
            let moved = self.cursor.advance(u64::MAX, |record| {
                ready.push_back(Line { seq: record.view.seq, json: record.text() });
            });
            match moved {
                Ok(true) => {}
                Ok(false) => std::thread::sleep(self.follow?),
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}
