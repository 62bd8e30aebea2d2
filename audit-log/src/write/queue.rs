//! Queue between requests and the writer thread: one lock, one condition.
//!
//! Decides what is accepted and what is refused; an unauthenticated client cannot fill it. Not for:
//! files (`appender`), what a record says (`record`).

pub(crate) mod anonymous;
pub(crate) mod entry;
pub(crate) mod group_commit;
pub(crate) mod state;
pub(crate) mod sync;

use std::sync::{Arc, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::oneshot;

use self::entry::{AckKind, Batch, IntentAck, Lane, NoteAck, QueuedRecord, intents, refuse};
use self::state::{BATCH_RECORDS, State};
use self::sync::{Condvar, Mutex, MutexGuard};
use crate::error::AuditError;
use crate::format::encode::event_body;
use crate::format::record::{ActorKind, Event, MAX_BODY_BYTES, Stamper, StoreStamp};
use crate::format::time::RecordTime;
use crate::settings::Settings;

const BATCH_BYTES: u64 = 1 << 20;

/// The runtime that this runs in, if it has threads of its own: another kind makes no progress
/// while its owner does not poll it.
pub(crate) fn runtime_of_here() -> Option<Handle> {
    Handle::try_current().ok().filter(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread)
}

pub(crate) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    capacity: usize,
    refusals_per_second: u32,
    wait: Duration,
    batch_bytes: u64,
    /// Number of operations that keep all cores busy.
    enough: usize,
    /// The runtime of the waiters.
    runtime: OnceLock<Handle>,
    stamper: OnceLock<Stamper>,
}

impl Queue {
    pub(crate) fn new(settings: &Settings) -> Self {
        let Settings { queue: capacity, refusals_per_second, wait, segment_bytes, .. } = *settings;
        // A batch must fit an empty segment.
        let batch_bytes = BATCH_BYTES.min(segment_bytes.saturating_sub(4096) / 2);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            state: Mutex::new(State::default()),
            wake: Condvar::new(),
            capacity,
            refusals_per_second,
            wait,
            batch_bytes,
            enough: cores * 4,
            runtime: OnceLock::new(),
            stamper: OnceLock::new(),
        }
    }

    /// The writer's answer, or a refusal when the disk takes longer than the configured wait.
    pub(crate) async fn answer<A>(
        &self,
        answer: oneshot::Receiver<Result<A, AuditError>>,
    ) -> Result<A, AuditError> {
        if self.runtime.get().is_none()
            && let Some(here) = runtime_of_here()
        {
            let _ = self.runtime.set(here);
        }
        match tokio::time::timeout(self.wait, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(AuditError::Closed),
            Err(_) => Err(AuditError::Unavailable { cause: Arc::from("the disk did not confirm in time") }),
        }
    }

    /// The runtime of the waiters, if it is known.
    pub(crate) fn runtime(&self) -> Option<&Handle> {
        self.runtime.get()
    }

    /// A panic elsewhere must not stop the log: a poisoned lock is used nevertheless, since every
    /// change is one step.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts an intent, or returns why not.
    pub(crate) fn push_intent(&self, body: Vec<u8>, ack: IntentAck, lane: Lane) -> Result<(), AuditError> {
        if body.len() > MAX_BODY_BYTES {
            return Err(AuditError::TooLarge);
        }
        let mut state = self.state();
        state.accepts_intent(lane, self.capacity)?;
        self.admit(&mut state, body, AckKind::Intent { ack, lane });
        Ok(())
    }

    /// Adds to outcomes what this makes. The first call counts.
    pub(crate) fn stamp_with(&self, stamper: Stamper) {
        let _ = self.stamper.set(stamper);
    }

    /// The stamp of an outcome that is recorded now.
    pub(crate) fn stamp(&self, intent: u64) -> Option<StoreStamp> {
        self.stamper.get().and_then(|stamper| stamper(intent))
    }

    /// Accepts an outcome, always while the writer runs: there are no more of them than there were
    /// intents. While nothing can be written it is kept for later and the waiter gets the error.
    pub(crate) fn push_outcome(&self, body: Vec<u8>, of: u64, mut ack: Option<NoteAck>, lane: Lane) {
        let mut state = self.state();
        state.open = state.open.saturating_sub(1);
        let has_space = lane == Lane::Reserved && state.has_reserve && !state.closed;
        if let Some(error) = state.refusal().filter(|_| !has_space) {
            refuse(&mut ack, &error);
            if state.closed {
                return;
            }
        }
        self.admit(&mut state, body, AckKind::Outcome { of, ack, lane });
    }

    /// Accepts a note; if the queue is full it is counted as dropped.
    pub(crate) fn push_note(&self, body: Vec<u8>, mut ack: Option<NoteAck>) {
        let mut state = self.state();
        if let Some(error) = state.refusal() {
            refuse(&mut ack, &error);
            if state.closed {
                return;
            }
        }
        if state.entries.len() >= self.capacity.saturating_mul(2) {
            state.dropped = state.dropped.saturating_add(1);
            refuse(&mut ack, &AuditError::Full);
            return;
        }
        self.admit(&mut state, body, AckKind::Note { ack });
    }

    /// Accepts an event. Refusals of unauthenticated clients beyond the rate become a count,
    /// written once a second.
    pub(crate) fn push_event(&self, event: &Event) {
        if event.actor.kind == ActorKind::Anonymous && event.code != "ok" {
            let mut state = self.state();
            let due = state.anonymous.due();
            if state.anonymous.count(event, self.refusals_per_second) {
                // The writer must look at the clock, to write the count when its second is over.
                if due.is_none() {
                    self.wake.notify_one();
                }
                return;
            }
        }
        let body = match event_body(event) {
            body if body.len() <= MAX_BODY_BYTES => body,
            _ => event_body(&Event { input: None, ..event.clone() }),
        };
        self.push_note(body, None);
    }

    fn admit(&self, state: &mut State, body: Vec<u8>, ack: AckKind) {
        if state.latched.is_some() && state.has_reserve && ack.lane() == Lane::Reserved {
            state.reserved.push_back(QueuedRecord { body, time: RecordTime::now(), ack });
            self.wake.notify_all();
            return;
        }
        let urgent = ack.is_urgent();
        // Stamped under the lock: times then never run backwards from one sequence number to the
        // next.
        state.entries.push_back(QueuedRecord { body, time: RecordTime::now(), ack });
        state.urgent += usize::from(urgent);
        // The writer sleeps when nothing is urgent: woken to write, or to look at the clock from
        // the first note on.
        let awaited = state.urgent == 1 || state.is_complete(self.enough);
        if (urgent && awaited) || state.entries.len() == 1 || state.entries.len() == BATCH_RECORDS {
            self.wake.notify_one();
        }
    }

    /// The next batch; waits at most `patience` for its first record.
    pub(crate) fn take(&self, patience: Duration) -> Batch {
        let deadline = Instant::now() + patience;
        let mut state = self.state();
        loop {
            state.flush_counted();
            if state.entries.is_empty() && state.closed {
                return Batch::Closed;
            }
            let now = Instant::now();
            let mut until = deadline;
            if !state.entries.is_empty() {
                match state.waits_until(self.enough, now) {
                    Some(due) => until = until.min(due),
                    None => return Batch::Records(state.batch(self.batch_bytes)),
                }
            } else if now >= deadline {
                return Batch::Idle;
            }
            if let Some(due) = state.anonymous.due() {
                until = until.min(due);
            }
            let nap = until.saturating_duration_since(now);
            state = self.wake.wait_timeout(state, nap).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Nothing can be written: refuses intents from now on, also those in the queue, and keeps all
    /// other records. With `has_reserve` those of the reserved lane can still be written.
    pub(crate) fn latch(&self, cause: &Arc<str>, failed: Vec<QueuedRecord>, has_reserve: bool) {
        let error = AuditError::Unavailable { cause: cause.clone() };
        let mut state = self.state();
        state.latched = Some(cause.clone());
        state.has_reserve = has_reserve;
        let mut waiting = std::mem::take(&mut state.entries);
        if !has_reserve {
            waiting.append(&mut state.reserved);
        }
        // The waiters are answered below.
        state.urgent = 0;
        state.open = state.open.saturating_sub(intents(&failed));
        for mut entry in failed.into_iter().chain(waiting) {
            if has_reserve && entry.ack.lane() == Lane::Reserved {
                state.reserved.push_back(entry);
                continue;
            }
            match &mut entry.ack {
                AckKind::Intent { .. } => {
                    if let AckKind::Intent { ack, .. } = entry.ack {
                        ack(Err(error.clone()));
                    }
                    continue;
                }
                AckKind::Outcome { ack, .. } | AckKind::Note { ack } => refuse(ack, &error),
            }
            state.entries.push_back(entry);
        }
    }

    /// Writing works again.
    pub(crate) fn unlatch(&self) {
        let mut state = self.state();
        state.latched = None;
        let reserved = std::mem::take(&mut state.reserved);
        state.urgent += reserved.iter().filter(|entry| entry.ack.is_urgent()).count();
        state.entries.extend(reserved);
    }

    /// Why nothing can be written, if that is so.
    pub(crate) fn refusal(&self) -> Option<AuditError> {
        self.state().refusal()
    }

    /// No more records; the writer finishes the queue.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.wake.notify_all();
    }

    /// The writer has ended: every waiter is refused.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.closed = true;
        // Dropped outside the lock: a dropped answer may come back to this queue.
        let entries = (std::mem::take(&mut state.entries), std::mem::take(&mut state.reserved));
        state.urgent = 0;
        drop(state);
        drop(entries);
    }

    /// While nothing else can be written: records for the reserved end of the segment. Waits at most `patience`.
    pub(crate) fn take_reserved(&self, patience: Duration) -> Batch {
        let state = self.state();
        let is_idle = |state: &mut State| !state.closed && state.reserved.is_empty();
        let waited = self.wake.wait_timeout_while(state, patience, is_idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        match state.reserved_batch() {
            batch if !batch.is_empty() => Batch::Records(batch),
            _ if state.closed => Batch::Closed,
            _ => Batch::Idle,
        }
    }
}
