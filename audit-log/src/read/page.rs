//! Pages of the records that concern one account.
//!
//! Frames before the requested record are skipped by their heads. Every frame of the page has a
//! good checksum; one that has not, or that is missing, is an error and never a silent gap. An
//! outcome names its intent alone, so it belongs to the account of that intent. Not for: proving
//! anything (`verify`, `proof`).

use std::collections::HashSet;
use std::ops::Range;

use crate::format::corruption::{Corruption, CorruptionKind, ReadError};
use crate::format::frame::{FrameBody, FrameHead, SECTOR};
use crate::format::segment::{HEADER_BYTES, NONE};
use crate::format::view::{RecordRole, View};
use crate::read::source::{Segment, Source};
use crate::storage::disk::DiskFile;

/// Records that one page reads, at most: a page of an account with few records stays cheap.
const MAX_EXAMINED: u64 = 50_000;

/// Records before the page in which the intents of its outcomes are looked for; older ones are read
/// one by one.
const LOOK_BACK: u64 = 1024;

/// Bytes of records after which a page ends: a client that reads slowly holds no more.
const MAX_PAGE_BYTES: usize = 128 * 1024;

/// Records in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The records, one JSON object each.
    pub records: Vec<String>,
    /// Request what follows this record next; equal to `after` when there is nothing new.
    pub next: u64,
    /// Records among those that the page covers whose segments are not here: moved away by the
    /// operator, or missing.
    pub absent: Vec<Range<u64>>,
}

/// At most `limit` records after record `after`, up to a durable head of `size` records, that
/// concern the account.
pub(crate) fn page(
    source: &Source,
    size: u64,
    eoa: Option<&str>,
    after: u64,
    limit: usize,
) -> Result<Page, ReadError> {
    let mut account = eoa.map(|eoa| Account::new(source, size, eoa, after));
    let read_from = account.as_ref().map_or(after.saturating_add(1), |account| account.known_from);
    let mut page = Page { next: after, ..Page::default() };
    let firsts = source.firsts()?;
    let start = firsts.partition_point(|&first| first <= after.saturating_add(1)).saturating_sub(1);
    let (mut examined, mut bytes) = (0, 0);
    let mut expected = after.saturating_add(1);
    for (index, &first) in firsts.iter().enumerate().skip(start) {
        let until = firsts.get(index + 1).copied().unwrap_or(NONE).min(size);
        page.skip(expected, first.min(size));
        let mut frames = Frames::new(source, first, until)?;
        loop {
            if page.records.len() >= limit || examined >= MAX_EXAMINED || bytes >= MAX_PAGE_BYTES {
                return Ok(page);
            }
            let Some((head, frame)) = frames.next(read_from)? else { break };
            let mut prev = head.prev_hash;
            // The hashes of records before a wanted one are needed for its line only.
            let mut skipped: Vec<View<'_>> = Vec::new();
            for view in frames.records(&head, &frame)? {
                let view = view?;
                let concerns = match &mut account {
                    Some(account) => account.concerns(&view)?,
                    None => true,
                };
                if view.seq <= after || view.seq >= until {
                    skipped.push(view);
                    continue;
                }
                if page.records.len() >= limit || examined >= MAX_EXAMINED || bytes >= MAX_PAGE_BYTES {
                    return Ok(page);
                }
                examined += 1;
                page.next = view.seq;
                if concerns {
                    prev = skipped.drain(..).fold(prev, |prev, view| view.hash(&prev));
                    let mut line = Vec::with_capacity(1024);
                    view.line(&prev, &mut line);
                    bytes += line.len();
                    page.records.push(String::from_utf8_lossy(&line).into_owned());
                }
                skipped.push(view);
            }
        }
        expected = expected.max(frames.next);
    }
    page.skip(expected, size);
    Ok(page)
}

impl Page {
    /// Passes over records that are not here. They are named: a gap must not look like silence.
    fn skip(&mut self, from: u64, to: u64) {
        if from < to {
            self.absent.push(from..to);
            self.next = to.saturating_sub(1);
        }
    }
}

/// Which records concern an account: those that name it, and the outcomes of its intents.
struct Account<'s> {
    source: &'s Source,
    size: u64,
    member: String,
    /// From this record on its intents are in `intents`.
    known_from: u64,
    intents: HashSet<u64>,
}

impl<'s> Account<'s> {
    fn new(source: &'s Source, size: u64, eoa: &str, after: u64) -> Self {
        let known_from = after.saturating_add(1).saturating_sub(LOOK_BACK);
        let member = format!("\"eoa\":\"{eoa}\"");
        Self { source, size, member, known_from, intents: HashSet::new() }
    }

    fn is_named(&self, body: &[u8]) -> bool {
        std::str::from_utf8(body).is_ok_and(|body| body.contains(&self.member))
    }

    fn concerns(&mut self, view: &View<'_>) -> Result<bool, ReadError> {
        match view.role() {
            RecordRole::Opens => {
                let named = self.is_named(view.body);
                if named {
                    self.intents.insert(view.seq);
                }
                Ok(named)
            }
            RecordRole::Ends(intent) if intent < self.known_from => self.is_intent_of(intent),
            RecordRole::Ends(intent) => Ok(self.intents.remove(&intent)),
            RecordRole::Neutral => Ok(self.is_named(view.body)),
        }
    }

    /// Reads one older intent; false where its segment is not here.
    fn is_intent_of(&self, seq: u64) -> Result<bool, ReadError> {
        let firsts = self.source.firsts()?;
        let index = firsts.partition_point(|&first| first <= seq);
        let Some(&first) = index.checked_sub(1).and_then(|index| firsts.get(index)) else { return Ok(false) };
        let until = firsts.get(index).copied().unwrap_or(NONE).min(self.size);
        let mut frames = Frames::new(self.source, first, until)?;
        while let Some((head, bytes)) = frames.next(seq)? {
            for view in frames.records(&head, &bytes)? {
                let view = view?;
                if view.seq == seq {
                    return Ok(self.is_named(view.body));
                }
            }
        }
        Ok(false)
    }
}

/// The frames of one segment, with the bytes of those that are read.
struct Frames {
    segment: Segment,
    offset: u64,
    /// The record that the next frame begins with.
    next: u64,
    /// The records end here.
    until: u64,
    /// Whether records up to `until` must be in this segment.
    complete: bool,
}

impl Frames {
    fn new(source: &Source, first: u64, until: u64) -> Result<Self, ReadError> {
        let following = source.firsts()?.into_iter().find(|&other| other > first);
        let complete = match following {
            Some(following) => source.segment(following)?.header.previous == first,
            None => true,
        };
        let segment = source.segment(first)?;
        Ok(Self { segment, offset: HEADER_BYTES, next: first, until, complete })
    }

    fn corrupt(&self, kind: CorruptionKind) -> ReadError {
        let segment = self.segment.name.clone();
        Corruption { seq: self.next, segment, offset: self.offset, kind }.into()
    }

    fn read(&self, count: usize) -> Result<Vec<u8>, ReadError> {
        let mut bytes = vec![0; count];
        let failed = |error| ReadError::of(&self.segment.name, self.next, self.offset, error);
        self.segment.file.read_at(&mut bytes, self.offset).map_err(failed)?;
        Ok(bytes)
    }

    /// The next frame that holds record `from` or a later one.
    fn next(&mut self, from: u64) -> Result<Option<(FrameHead, Vec<u8>)>, ReadError> {
        while self.next < self.until {
            let rest = self.segment.header.bytes.saturating_sub(self.offset);
            let head = match rest {
                0..512 => None,
                _ => FrameHead::decode(&self.read(SECTOR)?),
            };
            let bytes = head.as_ref().map_or(0, FrameHead::disk_bytes);
            let disk_bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            let Some(head) =
                head.filter(|head| head.first == self.next && head.count > 0 && disk_bytes <= rest)
            else {
                return if self.complete { Err(self.corrupt(CorruptionKind::Missing)) } else { Ok(None) };
            };
            let end = head.first.saturating_add(u64::from(head.count));
            if end > from {
                let frame = self.read(bytes)?;
                let whole = FrameBody::split(&head, &frame).is_some_and(|body| body.whole);
                if !whole {
                    return Err(self.corrupt(CorruptionKind::Frame));
                }
                self.offset += disk_bytes;
                self.next = end;
                return Ok(Some((head, frame)));
            }
            self.offset += disk_bytes;
            self.next = end;
        }
        Ok(None)
    }

    /// The records of a frame.
    fn records<'b>(
        &self,
        head: &FrameHead,
        frame: &'b [u8],
    ) -> Result<impl Iterator<Item = Result<View<'b>, ReadError>> + use<'b>, ReadError> {
        let (segment, offset) = (self.segment.name.clone(), self.offset);
        let corrupt = move |seq| {
            let segment = segment.clone();
            ReadError::from(Corruption { seq, segment, offset, kind: CorruptionKind::Form })
        };
        let body = FrameBody::split(head, frame).ok_or_else(|| corrupt(head.first))?;
        let records = (head.first..).zip(body.records());
        Ok(records.map(move |(seq, record)| {
            record.and_then(View::of).filter(|view| view.seq == seq).ok_or_else(|| corrupt(seq))
        }))
    }
}
