//! State under the lock of the queue.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::AuditError;
use crate::format::encode::records_dropped_body;
use crate::format::time::RecordTime;
use crate::write::queue::anonymous::AnonymousRefusals;
use crate::write::queue::entry::{AckKind, Lane, QueuedRecord, intents};
use crate::write::queue::group_commit::{GroupCommit, Work};

/// What one batch may hold.
pub(crate) const BATCH_RECORDS: usize = 1024;

/// Places in the queue beyond its capacity, for intents of the reserved lane.
const RESERVED_PLACES: usize = 256;

/// The most of a batch where little space is left.
const RESERVED_RECORDS: usize = 4;

/// Longest delay of a record without a waiter: it is written with the next one that has a waiter,
/// so that outcomes cost no sync of their own.
const LINGER: Duration = Duration::from_millis(10);

#[derive(Default)]
pub(super) struct State {
    pub(super) entries: VecDeque<QueuedRecord>,
    /// Number of them with a waiter.
    pub(super) urgent: usize,
    /// Number of intents that were written, or are being written, without an outcome.
    pub(super) open: usize,
    pub(super) gather: GroupCommit,
    /// Start of the delay of the first of them.
    pub(super) lingering: Option<Instant>,
    /// Why nothing can be written now.
    pub(super) latched: Option<Arc<str>>,
    /// Whether, meanwhile, the reserved end of the segment can be written.
    pub(super) has_reserve: bool,
    /// What goes there.
    pub(super) reserved: VecDeque<QueuedRecord>,
    pub(super) closed: bool,
    /// Events that were dropped.
    pub(super) dropped: u64,
    pub(super) anonymous: AnonymousRefusals,
}

impl State {
    pub(super) fn refusal(&self) -> Option<AuditError> {
        match &self.latched {
            Some(cause) => Some(AuditError::Unavailable { cause: cause.clone() }),
            None => self.closed.then_some(AuditError::Closed),
        }
    }

    /// Whether an intent can be queued now.
    pub(super) fn accepts_intent(&self, lane: Lane, capacity: usize) -> Result<(), AuditError> {
        let is_reserved = lane == Lane::Reserved;
        if self.closed {
            return Err(AuditError::Closed);
        }
        if let Some(cause) = &self.latched
            && !(is_reserved && self.has_reserve && self.reserved.len() < RESERVED_PLACES)
        {
            return Err(AuditError::Unavailable { cause: cause.clone() });
        }
        let places = capacity + if is_reserved { RESERVED_PLACES } else { 0 };
        // Outcomes and notes that are kept meanwhile take no place from what can still be written.
        let is_full = self.latched.is_none() && self.entries.len() >= places;
        if is_full { Err(AuditError::Full) } else { Ok(()) }
    }

    /// Operations in progress, and the number that keeps all cores busy.
    const fn work(&self, enough: usize) -> Work {
        Work { open: self.open, enough }
    }

    /// Whether enough have come for a batch.
    pub(super) fn is_complete(&self, enough: usize) -> bool {
        self.gather.is_complete(self.urgent, self.work(enough))
    }

    /// Until when the next batch waits for more; `None`: it is written now.
    pub(super) fn waits_until(&mut self, enough: usize, now: Instant) -> Option<Instant> {
        if self.closed || self.entries.len() >= BATCH_RECORDS {
            return None;
        }
        if self.urgent > 0 {
            return self.gather.until(self.urgent, self.work(enough), now);
        }
        let due = *self.lingering.get_or_insert(now) + LINGER;
        (now < due).then_some(due)
    }

    pub(super) fn batch(&mut self, most_bytes: u64) -> Vec<QueuedRecord> {
        let mut bytes = 0;
        let fits = |entry: &&QueuedRecord| {
            bytes += u64::try_from(entry.body.len()).unwrap_or(u64::MAX).saturating_add(256);
            bytes <= most_bytes
        };
        let count = self.entries.iter().take(BATCH_RECORDS).take_while(fits).count().max(1);
        let batch: Vec<_> = self.entries.drain(..count).collect();
        let waited = batch.iter().filter(|entry| entry.ack.is_urgent()).count();
        self.urgent -= waited;
        self.open += intents(&batch);
        self.gather.written(waited);
        self.lingering = None;
        batch
    }

    /// Records for the reserved end of the segment.
    pub(super) fn reserved_batch(&mut self) -> Vec<QueuedRecord> {
        let batch: Vec<_> = self.reserved.drain(..self.reserved.len().min(RESERVED_RECORDS)).collect();
        self.open += intents(&batch);
        batch
    }

    /// Queues the records of what was counted.
    pub(super) fn flush_counted(&mut self) {
        let dropped = match self.dropped {
            1.. if self.latched.is_none() => Some(records_dropped_body(std::mem::take(&mut self.dropped))),
            _ => None,
        };
        for body in self.anonymous.flush(self.closed).into_iter().chain(dropped) {
            self.entries.push_back(QueuedRecord {
                body,
                time: RecordTime::now(),
                ack: AckKind::Note { ack: None },
            });
        }
    }
}
