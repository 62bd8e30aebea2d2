//! The hand-over between requests and writer under random schedules: the very source of `queue`,
//! over shuttle's lock and condition, which switch threads at every use and never time out. So a
//! wake-up that is lost is a deadlock, and found.
//!
//! `AVS_KMS_LONG=1`: 100,000 schedules instead of 2,000.

use std::sync::{Arc, Mutex as Plain};
use std::time::Duration;

use shuttle::future::block_on;
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;
use tokio::sync::oneshot;

use super::schedule_sync::{Bug, PLANTED};
use crate::error::AuditError;
use crate::format::head::Receipt;
use crate::format::log_id::LogId;
use crate::settings::Settings;
use crate::write::queue::Queue;
use crate::write::queue::entry::{AckKind, Batch, Lane};

type Written = Arc<Plain<Vec<Vec<u8>>>>;

/// The writer: takes batches until the queue is closed; its disk fails now and then.
fn writer(queue: &Queue, written: &Written) {
    loop {
        let batch = match queue.take(Duration::from_secs(3_600)) {
            Batch::Records(batch) => batch,
            Batch::Idle => panic!("nothing times out here"),
            Batch::Closed => break,
        };
        assert!(!batch.is_empty());
        if thread_rng().gen_range(0..5) == 0 {
            queue.latch(&Arc::from("simulated"), batch, false);
            thread::yield_now();
            queue.unlatch();
            continue;
        }
        let write = |bodies: Vec<Vec<u8>>| written.lock().unwrap().extend(bodies);
        let bodies: Vec<_> = batch.iter().map(|entry| entry.body.clone()).collect();
        let early = PLANTED.get() == Bug::AnswersBeforeItWrites;
        if !early {
            write(bodies.clone());
        }
        for entry in batch {
            let receipt = Receipt { seq: 7, log: LogId([0; 16]), record_hash: [0; 32] };
            match entry.ack {
                AckKind::Intent { ack, .. } => ack(Ok(receipt)),
                AckKind::Outcome { ack: Some(ack), .. } | AckKind::Note { ack: Some(ack) } => {
                    let _ = ack.send(Ok(receipt));
                }
                AckKind::Outcome { ack: None, .. } | AckKind::Note { ack: None } => {}
            }
        }
        if early {
            thread::yield_now();
            write(bodies);
        }
    }
    queue.end();
}

/// The answer to the intent of a request, and the body of the intent.
enum Told {
    Durable(Vec<u8>),
    NotRecorded(Vec<u8>),
}

/// One request: intent, wait, outcome; every second one waits for its outcome, too.
fn request(queue: &Queue, written: &Written, n: u8) -> Told {
    let (intent, outcome) = (vec![b'i', n], vec![b'o', n]);
    let (ack, answer) = oneshot::channel();
    let ack = Box::new(move |durable| drop(ack.send(durable)));
    let refused = match queue.push_intent(intent.clone(), ack, Lane::Ordinary) {
        Ok(()) => block_on(answer).expect("every waiter is answered").err(),
        Err(error) => Some(error),
    };
    if let Some(error) = refused {
        assert!(matches!(error, AuditError::Full | AuditError::Unavailable { .. }), "{error}");
        return Told::NotRecorded(intent);
    }
    assert!(written.lock().unwrap().contains(&intent), "a key would be used before its record is durable");
    let (ack, answer) = oneshot::channel();
    queue.push_outcome(outcome, 7, n.is_multiple_of(2).then_some(ack), Lane::Ordinary);
    if n.is_multiple_of(2) {
        let _ = block_on(answer).expect("every waiter is answered");
    }
    Told::Durable(intent)
}

fn model() {
    let settings = Settings { queue: 3, ..Settings::new("nowhere") };
    let (queue, written) = (Arc::new(Queue::new(&settings)), Written::default());
    let writing = {
        let (queue, written) = (queue.clone(), written.clone());
        thread::spawn(move || writer(&queue, &written))
    };
    let requests: Vec<_> = (0..4_u8)
        .map(|n| {
            let (queue, written) = (queue.clone(), written.clone());
            thread::spawn(move || [n, n + 10].map(|n| request(&queue, &written, n)))
        })
        .collect();
    queue.push_note(vec![b'n'], None);
    let told: Vec<_> = requests.into_iter().flat_map(|request| request.join().unwrap()).collect();
    queue.close();
    writing.join().unwrap();
    let written = written.lock().unwrap();
    let count = |body: &[u8]| written.iter().filter(|found| *found == body).count();
    for told in told {
        match told {
            Told::Durable(intent) => {
                assert_eq!((count(&intent), count(&[b'o', intent[1]])), (1, 1), "intent and outcome, once");
            }
            Told::NotRecorded(intent) => {
                assert_eq!((count(&intent), count(&[b'o', intent[1]])), (0, 0), "refused and written");
            }
        }
    }
    assert_eq!(count(b"n"), 1);
}

fn schedules() -> usize {
    if std::env::var_os("AVS_KMS_LONG").is_some() { 100_000 } else { 2_000 }
}

#[test]
fn every_waiter_is_answered_and_every_record_is_written_once_under_any_schedule() {
    shuttle::check_random(model, schedules());
    shuttle::check_pct(model, schedules() / 4, 3);
}

/// Whether the schedules find a bug.
fn found(bug: Bug) -> bool {
    PLANTED.set(bug);
    let found = std::panic::catch_unwind(|| shuttle::check_random(model, 2_000)).is_err();
    PLANTED.set(Bug::None);
    found
}

#[test]
fn the_same_schedules_find_a_wake_up_that_is_lost() {
    assert!(found(Bug::LosesWakeUps));
}

#[test]
fn the_same_schedules_find_an_answer_that_comes_before_the_write() {
    assert!(found(Bug::AnswersBeforeItWrites));
}
