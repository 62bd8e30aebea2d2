//! Sinks of checkpoints: one thread for each place that gets them, so that a stuck one delays no other.
//!
//! A sink gets the newest checkpoint only: it contains those before. Not for: what the places are
//! (`service`, and the publisher for files).

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::checkpoint::signed::SignedCheckpoint;

/// Why a sink did not take a checkpoint.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// Delivers one checkpoint; may block.
type Deliver = Box<dyn FnMut(&SignedCheckpoint) -> Result<(), SinkError> + Send>;

/// A place that gets each new checkpoint, on a thread of its own.
pub struct CheckpointSink {
    name: String,
    every: Duration,
    deliver: Deliver,
}

impl CheckpointSink {
    /// A sink of this name, for people, that gets the newest checkpoint at most once per interval,
    /// and the last one at the end.
    pub fn new(
        name: impl Into<String>,
        every: Duration,
        deliver: impl FnMut(&SignedCheckpoint) -> Result<(), SinkError> + Send + 'static,
    ) -> Self {
        Self { name: name.into(), every, deliver: Box::new(deliver) }
    }
}

/// The shortest and the longest wait before a delivery that failed is tried again.
const RETRY: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];

/// A running sink.
pub(crate) struct SinkThread {
    name: String,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// What is not delivered yet.
    next: Option<Arc<SignedCheckpoint>>,
    /// Since when a delivery is due and not done.
    waiting_since: Option<Instant>,
    /// The next delivery is not earlier.
    not_before: Instant,
    closing: bool,
    ended: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SinkThread {
    pub(crate) fn start(sink: CheckpointSink) -> std::io::Result<Self> {
        let CheckpointSink { name, every, deliver } = sink;
        let state = State {
            next: None,
            waiting_since: None,
            not_before: Instant::now(),
            closing: false,
            ended: false,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let worker = Worker { name: name.clone(), every, deliver, shared: Arc::clone(&shared) };
        std::thread::Builder::new().name("audit-sink".to_owned()).spawn(move || worker.run())?;
        Ok(Self { name, shared })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Replaces what waits for delivery. Never blocks on the sink.
    pub(crate) fn submit(&self, checkpoint: &Arc<SignedCheckpoint>) {
        let mut state = self.shared.state();
        state.next = Some(Arc::clone(checkpoint));
        let due = state.not_before.max(Instant::now());
        state.waiting_since.get_or_insert(due);
        self.shared.changed.notify_all();
    }

    /// Whether a delivery has been due for longer than `limit`.
    pub(crate) fn is_stuck(&self, limit: Duration) -> bool {
        let since = self.shared.state().waiting_since;
        since.is_some_and(|since| since.elapsed() > limit)
    }

    /// Has what waits delivered at once, and no more after it.
    pub(crate) fn close(&self) {
        self.shared.state().closing = true;
        self.shared.changed.notify_all();
    }

    /// Waits for the end of a closed sink; says whether it came in time. A stuck thread is left.
    pub(crate) fn join(&self, until: Instant) -> bool {
        let mut state = self.shared.state();
        while !state.ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

struct Worker {
    name: String,
    every: Duration,
    deliver: Deliver,
    shared: Arc<Shared>,
}

impl Worker {
    fn run(mut self) {
        let mut failing = false;
        while let Some(checkpoint) = self.next() {
            let delivered = (self.deliver)(&checkpoint);
            let now = Instant::now();
            let mut state = self.shared.state();
            match delivered {
                Ok(()) => {
                    state.not_before = now + self.every;
                    let is_newest = state.next.as_ref().is_some_and(|next| Arc::ptr_eq(next, &checkpoint));
                    if is_newest {
                        state.next = None;
                    }
                    state.waiting_since = (!is_newest).then_some(state.not_before);
                    if std::mem::take(&mut failing) {
                        tracing::info!("{} takes audit checkpoints again", self.name);
                    }
                }
                Err(error) => {
                    let [shortest, longest] = RETRY;
                    state.not_before = now + self.every.clamp(shortest, longest);
                    if state.closing {
                        // One attempt at the end.
                        state.next = None;
                    }
                    // Once for each outage: a sink that is away must not fill the service's log.
                    if !std::mem::replace(&mut failing, true) {
                        let error = &*error as &dyn std::error::Error;
                        tracing::error!(
                            error,
                            "{} did not take the audit checkpoint; trying again",
                            self.name
                        );
                    }
                }
            }
        }
        self.shared.state().ended = true;
        self.shared.changed.notify_all();
    }

    /// Waits for what is due; `None` at the end.
    fn next(&self) -> Option<Arc<SignedCheckpoint>> {
        let mut state = self.shared.state();
        loop {
            let left = state.not_before.saturating_duration_since(Instant::now());
            let wait = match &state.next {
                None if state.closing => return None,
                Some(next) if state.closing || left.is_zero() => return Some(Arc::clone(next)),
                None => Duration::MAX,
                Some(_) => left,
            };
            let changed = &self.shared.changed;
            state = if wait == Duration::MAX {
                changed.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else {
                changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
            };
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use std::sync::mpsc;

    use super::*;
    use crate::checkpoint::key::PublicKey;
    use crate::checkpoint::signed::CheckpointSigner;
    use crate::format::head::Head;
    use crate::format::log_id::LogId;

    struct Software(ed25519_dalek::SigningKey);

    impl CheckpointSigner for Software {
        fn public_key(&self) -> PublicKey {
            PublicKey::Ed25519(self.0.verifying_key().to_bytes())
        }

        fn sign(&self, text: &[u8]) -> Result<Vec<u8>, SinkError> {
            Ok(ed25519_dalek::Signer::sign(&self.0, text).to_bytes().to_vec())
        }
    }

    fn checkpoint(size: u64) -> Arc<SignedCheckpoint> {
        let head = Head { log: LogId([0; 16]), size, record_hash: [0; 32], root: [0; 32] };
        let signer = Software(ed25519_dalek::SigningKey::from_bytes(&[1; 32]));
        Arc::new(SignedCheckpoint::sign("example.test", &head, &signer).unwrap())
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_failed_delivery_is_repeated_and_stuck_until_it_succeeds() {
        let (sent, received) = mpsc::channel();
        let (permit, permitted) = mpsc::channel::<bool>();
        let sink = SinkThread::start(CheckpointSink::new("it", Duration::ZERO, move |one| {
            sent.send(one.size()).unwrap();
            if permitted.recv().unwrap() { Ok(()) } else { Err("full".into()) }
        }))
        .unwrap();
        assert!(!sink.is_stuck(Duration::ZERO), "nothing waits");
        sink.submit(&checkpoint(1));
        assert_eq!(received.recv_timeout(LONG), Ok(1));
        sink.submit(&checkpoint(2));
        assert!(sink.is_stuck(Duration::ZERO) && !sink.is_stuck(LONG));
        permit.send(false).unwrap();
        assert_eq!(received.recv_timeout(LONG), Ok(2), "the newest only");
        assert!(sink.is_stuck(Duration::ZERO), "a failure is no delivery");
        permit.send(true).unwrap();
        sink.close();
        assert!(sink.join(Instant::now() + LONG) && !sink.is_stuck(Duration::ZERO));
    }

    #[test]
    fn a_sink_waits_for_its_interval_but_not_at_the_end() {
        let (sent, received) = mpsc::channel();
        let hour = Duration::from_secs(3_600);
        let sink = CheckpointSink::new("it", hour, move |one| Ok(sent.send(one.size())?));
        let sink = SinkThread::start(sink).unwrap();
        sink.submit(&checkpoint(1));
        assert_eq!(received.recv_timeout(LONG), Ok(1));
        sink.submit(&checkpoint(2));
        sink.submit(&checkpoint(3));
        received.recv_timeout(Duration::from_millis(50)).unwrap_err();
        assert!(!sink.is_stuck(Duration::ZERO), "it is not due");
        sink.close();
        assert_eq!(received.recv_timeout(LONG), Ok(3));
        assert!(sink.join(Instant::now() + LONG));
    }

    #[test]
    fn a_sink_that_never_returns_does_not_hold_up_the_end() {
        let (hold, held) = mpsc::channel::<()>();
        let sink = CheckpointSink::new("it", Duration::ZERO, move |_| Ok(held.recv()?));
        let sink = SinkThread::start(sink).unwrap();
        sink.submit(&checkpoint(1));
        sink.close();
        assert!(!sink.join(Instant::now() + Duration::from_millis(50)));
        drop(hold);
        assert!(sink.join(Instant::now() + LONG));
    }
}
