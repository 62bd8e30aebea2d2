//! Places that get checkpoints: each on its own, the far ones first, and a stuck one raises an alarm.

use std::fs;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::support::kit::{Log, Multiply, boot, runtime};
use crate::support::signer::{key, publishing};
use audit_log::{AuditLog, CheckpointSink, Outcome, PublisherSettings};

const LONG: Duration = Duration::from_secs(20);

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn record(open: &AuditLog) {
    runtime().block_on(async {
        let recorded = open.record(Multiply(1)).await.unwrap();
        recorded.consume().1.record_outcome_durable(Outcome::ok(1)).await.unwrap();
    });
}

/// A sink that shows the sizes it gets.
fn shown() -> (CheckpointSink, mpsc::Receiver<u64>) {
    let (sent, received) = mpsc::channel();
    let sink = CheckpointSink::new("the other place", Duration::ZERO, move |one| Ok(sent.send(one.size())?));
    (sink, received)
}

#[test]
fn a_directory_that_takes_no_checkpoint_silences_no_other_place() {
    let log = Log::empty(1 << 18);
    // A file cannot take the place of a directory that is not empty.
    let (own, copy) = (log.directory().join("checkpoint"), log.directory().with_extension("copy"));
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    let (sink, received) = shown();
    let stuck_after = Duration::from_millis(200);
    open.publish(PublisherSettings {
        files: vec![copy.clone()],
        sinks: vec![sink],
        stuck_after,
        ..publishing(1)
    })
    .unwrap();
    until("the first checkpoint", || own.exists());
    assert!(open.stuck_sinks().is_empty(), "{:?}", open.stuck_sinks());
    fs::remove_file(&own).unwrap();
    fs::create_dir(&own).unwrap();
    fs::write(own.join("file"), "").unwrap();
    record(&open);
    let size = open.head().size;
    until("the API", || open.checkpoint().is_some_and(|newest| newest.size() >= size));
    until("the sink", || received.try_iter().any(|seen| seen >= size));
    until("the copy", || fs::read(&copy).is_ok_and(|note| key(1).open(&note).unwrap().size() >= size));
    until("the alarm", || open.stuck_sinks() == ["the directory of the log"]);
    // It recovers by itself once the cause is gone.
    fs::remove_dir_all(&own).unwrap();
    until("the end of the alarm", || open.stuck_sinks().is_empty() && own.is_file());
    open.close().unwrap();
}

#[test]
fn a_place_that_never_answers_is_named_and_holds_up_neither_the_others_nor_the_end() {
    let log = Log::empty(1 << 18);
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    let (hold, held) = mpsc::channel::<()>();
    let dead = CheckpointSink::new("the dead place", Duration::ZERO, move |_| Ok(held.recv()?));
    let (sink, received) = shown();
    let stuck_after = Duration::from_millis(200);
    open.publish(PublisherSettings { sinks: vec![dead, sink], stuck_after, ..publishing(1) }).unwrap();
    record(&open);
    let size = open.head().size;
    until("the other place", || received.try_iter().any(|seen| seen >= size));
    until("the alarm", || open.stuck_sinks() == ["the dead place"]);
    let begun = Instant::now();
    let head = open.close().unwrap();
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    assert!(received.try_iter().any(|seen| seen == head.size), "the last checkpoint");
    drop(hold);
}

#[test]
fn a_key_that_signs_no_more_is_named() {
    use crate::support::signer::Software;
    use audit_log::{CheckpointSigner, PublicKey, SinkError};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    struct Failing(Arc<Software>, AtomicBool);
    impl CheckpointSigner for Failing {
        fn public_key(&self) -> PublicKey {
            self.0.public_key()
        }
        fn sign(&self, text: &[u8]) -> Result<Vec<u8>, SinkError> {
            if self.1.load(Ordering::Relaxed) { Err("the token is away".into()) } else { self.0.sign(text) }
        }
    }
    let log = Log::empty(1 << 18);
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    let signer = Arc::new(Failing(Software::new(1), AtomicBool::new(false)));
    let (stuck_after, idle) = (Duration::from_millis(100), Duration::from_millis(100));
    let signing = signer.clone();
    open.publish(PublisherSettings { signer: signing, stuck_after, idle, ..publishing(1) }).unwrap();
    until("the first checkpoint", || open.stuck_sinks().is_empty());
    signer.1.store(true, Ordering::Relaxed);
    record(&open);
    until("the alarm", || open.stuck_sinks() == ["the key that signs checkpoints"]);
    signer.1.store(false, Ordering::Relaxed);
    until("the end of the alarm", || open.stuck_sinks().is_empty());
    open.close().unwrap();
}
