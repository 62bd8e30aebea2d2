//! Pages through the records that concern one account.
//!
//! Frames before the asked-for record are skipped by their heads; each frame that is shown has a good checksum.
//! Not for: proving anything (`verify`, `proof`).

use crate::format::corruption::ReadError;
use crate::format::frame::{FrameBody, FrameHead, SECTOR};
use crate::format::segment::{HEADER_BYTES, NONE};
use crate::read::source::{Segment, Source};
use crate::storage::disk::DiskFile;

/// How many records one page looks at, at most: a page of a rarely seen account stays cheap.
const MOST_LOOKED_AT: u64 = 50_000;

/// Records in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The records as they were written, one JSON object each.
    pub records: Vec<String>,
    /// Ask for what comes after this one next; equal to what was asked when there is nothing new.
    pub next: u64,
}

/// At most `limit` records after record `after`, up to a durable head of `size` records, that concern the account.
pub(crate) fn page(
    source: &Source,
    size: u64,
    eoa: Option<&str>,
    after: u64,
    limit: usize,
) -> Result<Page, ReadError> {
    let needle = eoa.map(|eoa| format!("\"eoa\":\"{eoa}\""));
    let wanted = |json: &str| needle.as_ref().is_none_or(|needle| json.contains(needle.as_str()));
    let mut page = Page { records: Vec::new(), next: after };
    let firsts = source.firsts()?;
    let start = firsts.partition_point(|&first| first <= after.saturating_add(1)).saturating_sub(1);
    // Only what is there counts: what was moved away is passed over, however much it is.
    let mut looked_at = 0;
    for (index, &first) in firsts.iter().enumerate().skip(start) {
        let until = firsts.get(index + 1).copied().unwrap_or(NONE).min(size);
        let segment = source.segment(first)?;
        let mut offset = HEADER_BYTES;
        while let Some((head, bytes)) = frame(&segment, offset, after, until)? {
            offset += u64::try_from(head.disk_bytes()).unwrap_or(u64::MAX);
            let Some(body) = FrameBody::split(&head, &bytes).filter(|body| body.whole) else { continue };
            for (record, seq) in body.records().flatten().zip(head.first..until) {
                if seq <= after {
                    continue;
                }
                if page.records.len() >= limit || looked_at >= MOST_LOOKED_AT {
                    return Ok(page);
                }
                looked_at += 1;
                let json = String::from_utf8_lossy(record);
                if wanted(&json) {
                    page.records.push(json.into_owned());
                }
                page.next = seq;
            }
        }
    }
    Ok(page)
}

/// The frame at an offset; without its bytes when all of it is at or before `after`. `None` at the end.
fn frame(
    segment: &Segment,
    offset: u64,
    after: u64,
    until: u64,
) -> Result<Option<(FrameHead, Vec<u8>)>, ReadError> {
    if offset + 512 > segment.header.bytes {
        return Ok(None);
    }
    let failed = |error| ReadError::of(&segment.name, after, offset, error);
    let mut sector = [0; SECTOR];
    segment.file.read_at(&mut sector, offset).map_err(failed)?;
    let Some(head) = FrameHead::decode(&sector).filter(|head| head.first < until) else { return Ok(None) };
    if head.first.saturating_add(u64::from(head.count)) <= after.saturating_add(1) {
        return Ok(Some((head, Vec::new())));
    }
    let rest = segment.header.bytes.saturating_sub(offset);
    if u64::try_from(head.disk_bytes()).unwrap_or(u64::MAX) > rest {
        return Ok(None);
    }
    let mut bytes = vec![0; head.disk_bytes()];
    segment.file.read_at(&mut bytes, offset).map_err(failed)?;
    Ok(Some((head, bytes)))
}
