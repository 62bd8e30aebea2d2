//! The fixed part of a record, read without parsing JSON, so that verification keeps up with the
//! disk.
//!
//! A record is one line of JSON: `{"v":2,"seq":…,"prev":…,"time":…,"kind":…`. On disk the member
//! `prev` is left out: a reader of the log knows the hash of the record before and puts it back
//! ([`line`]). So the line that a reader gets, and its hash, name the record before, and the disk
//! does not hold each hash twice. Not for: the members of the body (`serde_json` reads those).

use crate::format::json;
use crate::format::merkle::{Hash, LeafHasher};

/// What each record begins with.
pub(crate) const START: &[u8] = b"{\"v\":2,\"seq\":";
/// Bytes of a time: RFC 3339 in UTC with six decimals.
pub(crate) const TIME_BYTES: usize = 27;

/// A record as it is stored: without `prev`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) seq: u64,
    /// Up to and with the comma after the sequence number.
    head: &'a [u8],
    /// From `"time"` to the closing brace.
    rest: &'a [u8],
    /// From `"kind"` to the closing brace.
    pub(crate) body: &'a [u8],
}

/// What a record means for the open intents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordRole {
    /// It is an intent.
    Opens,
    /// It is the outcome of the intent of that number.
    Ends(u64),
    /// Neither.
    Neutral,
}

impl<'a> View<'a> {
    /// The view of a stored record; `None` for anything else.
    pub(crate) fn of(stored: &'a [u8]) -> Option<Self> {
        let (seq, rest) = digits(stored.strip_prefix(START)?)?;
        let rest = rest.strip_prefix(b",")?;
        let head = stored.get(..stored.len() - rest.len())?;
        let (_, body) = rest.strip_prefix(b"\"time\":\"")?.split_at_checked(TIME_BYTES)?;
        let body = body.strip_prefix(b"\",")?;
        (body.starts_with(b"\"kind\":\"") && body.ends_with(b"}")).then_some(Self { seq, head, rest, body })
    }

    /// The hash of the record after the one of hash `prev`: of its whole line, `prev` included.
    pub(crate) fn hash(&self, prev: &Hash) -> Hash {
        LeafHasher::default().chain(self.head).chain(&prev_member(prev)).chain(self.rest).finish()
    }

    /// Appends the whole line, `prev` included.
    pub(crate) fn line(&self, prev: &Hash, out: &mut Vec<u8>) {
        out.extend_from_slice(self.head);
        out.extend_from_slice(&prev_member(prev));
        out.extend_from_slice(self.rest);
    }

    /// The record's kind.
    pub(crate) fn kind(&self) -> &'a [u8] {
        let rest = self.body.get(8..).unwrap_or_default();
        rest.split(|&byte| byte == b'"').next().unwrap_or_default()
    }

    /// What the record means for open intents.
    pub(crate) fn role(&self) -> RecordRole {
        match self.kind() {
            b"intent" => RecordRole::Opens,
            kind @ (b"outcome" | b"recovered") => {
                let rest = self.body.get(8 + kind.len()..).unwrap_or_default();
                let intent = rest.strip_prefix(b"\",\"intent\":").and_then(digits);
                intent.map_or(RecordRole::Neutral, |(intent, _)| RecordRole::Ends(intent))
            }
            _ => RecordRole::Neutral,
        }
    }
}

/// The sequence number of a whole line, as readers get it.
pub(crate) fn seq_of_line(line: &[u8]) -> Option<u64> {
    let (seq, rest) = digits(line.strip_prefix(START)?)?;
    rest.starts_with(b",\"prev\":\"").then_some(seq)
}

/// `"prev":"<hash>",`.
fn prev_member(prev: &Hash) -> [u8; 53] {
    let mut out = *b"\"prev\":\"-------------------------------------------\",";
    if let Some(text) = out.get_mut(8..51) {
        text.copy_from_slice(&json::hash_characters(prev));
    }
    out
}

/// A decimal number without a superfluous zero, and what follows it.
fn digits(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (mut number, mut count) = (0_u64, 0);
    for digit in bytes.iter().map(|byte| byte.wrapping_sub(b'0')).take_while(|digit| *digit < 10) {
        number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
        count += 1;
    }
    let (digits, rest) = bytes.split_at_checked(count)?;
    match digits {
        [] | [b'0', _, ..] => None,
        _ => Some((number, rest)),
    }
}
