//! Aggregation of refusals of unauthenticated clients: some per second get a record each, the
//! others are counted.
//!
//! So no client can fill the disk, and every refusal is in the log. Not for: refusals of clients
//! with a token.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::format::encode::aggregate_body;
use crate::format::record::Event;
use crate::format::time::RecordTime;

const PERIOD: Duration = Duration::from_secs(1);

/// The current second.
#[derive(Default)]
pub(super) struct AnonymousRefusals {
    since: Option<Instant>,
    written: u32,
    /// By operation and code; the program has few of both.
    counted: HashMap<(&'static str, &'static str), RefusalCount>,
}

struct RefusalCount {
    count: u64,
    since_ns: u64,
    first: Option<SocketAddr>,
    last: Option<SocketAddr>,
}

impl AnonymousRefusals {
    /// Whether the event is only counted, because its second has had its share of records.
    pub(super) fn count(&mut self, event: &Event, most: u32) -> bool {
        let now = Instant::now();
        let over = self.since.is_none_or(|since| now.duration_since(since) >= PERIOD);
        if over && self.counted.is_empty() {
            self.since = Some(now);
            self.written = 0;
        }
        if self.written < most && self.counted.is_empty() {
            self.written += 1;
            return false;
        }
        let address = event.actor.address;
        let counted = self.counted.entry((event.operation, event.code)).or_insert_with(|| RefusalCount {
            count: 0,
            since_ns: RecordTime::now().wall_ns,
            first: address,
            last: address,
        });
        counted.count = counted.count.saturating_add(1);
        counted.last = address;
        true
    }

    /// When the counts are to be written; `None` when there are none.
    pub(super) fn due(&self) -> Option<Instant> {
        let since = self.since.filter(|_| !self.counted.is_empty())?;
        Some(since + PERIOD)
    }

    /// The records of the counts, when their second is over, or at once.
    pub(super) fn flush(&mut self, at_once: bool) -> Vec<Vec<u8>> {
        match self.due() {
            Some(due) if at_once || Instant::now() >= due => {}
            _ => return Vec::new(),
        }
        self.since = Some(Instant::now());
        self.written = 0;
        let body = |((operation, code), counted): ((&str, &str), RefusalCount)| {
            let addresses = [counted.first, counted.last];
            aggregate_body(operation, code, counted.count, counted.since_ns, addresses)
        };
        self.counted.drain().map(body).collect()
    }
}
