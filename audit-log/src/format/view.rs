//! Reads the fixed part of a record without parsing JSON, so that verification keeps up with the disk.
//!
//! Not for: the members of the body (`serde_json` reads those).

/// The fixed members of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) seq: u64,
    /// 64 hex digits.
    pub(crate) prev: &'a [u8],
    /// From `"kind"` to the closing brace.
    pub(crate) body: &'a [u8],
}

/// What a record means for the intents that are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordRole {
    /// Opens one: itself.
    Opens,
    /// Settles the intent of that number.
    Ends(u64),
    /// None.
    Neutral,
}

impl<'a> View<'a> {
    /// The view of a record as this program writes it; `None` for anything else.
    pub(crate) fn of(record: &'a [u8]) -> Option<Self> {
        let rest = record.strip_prefix(b"{\"v\":1,\"seq\":")?;
        let (seq, rest) = digits(rest)?;
        let (prev, rest) = rest.strip_prefix(b",\"prev\":\"0x")?.split_at_checked(64)?;
        let (_, rest) = rest.strip_prefix(b"\",\"time\":\"")?.split_at_checked(30)?;
        let (_, rest) = digits(rest.strip_prefix(b"\",\"mono_ns\":")?)?;
        let (_, rest) = rest.strip_prefix(b",\"boot\":\"")?.split_at_checked(16)?;
        let body = rest.strip_prefix(b"\",")?;
        (body.starts_with(b"\"kind\":\"") && body.ends_with(b"}")).then_some(Self { seq, prev, body })
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
