//! What readers are shown: pages of one account, exports of one key, the mirror, signs of life.

use std::fs;
use std::time::Duration;

use crate::support::kit::{self, Log, Multiply, boot, fill, runtime};
use crate::support::signer::publishing;
use audit_log::{Actor, AuditLog, CheckpointSink, Event, Outcome, PublisherSettings, lines};

#[test]
fn recent_pages_through_the_records_of_one_account_only() {
    let log = Log::empty(1 << 16);
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    (0..12).for_each(|_| fill(&open, 10));
    let eoa = kit::eoa(7);
    let mut found = Vec::new();
    let mut after = 0;
    loop {
        let page = runtime().block_on(open.page(Some(eoa.clone()), after, 5)).unwrap();
        if page.next == after {
            assert!(page.records.is_empty());
            break;
        }
        assert!(page.records.len() <= 5 && page.next > after);
        found.extend(page.records);
        after = page.next;
    }
    assert_eq!(found.len(), 24, "an intent and an outcome in each round");
    let mut intents = std::collections::BTreeSet::new();
    for json in &found {
        let record: serde_json::Value = serde_json::from_str(json).unwrap();
        match record["intent"].as_u64() {
            Some(intent) => {
                assert!(intents.remove(&intent), "the outcome of another account's intent: {json}")
            }
            None => {
                assert_eq!(record["key"]["eoa"], kit::eoa(7));
                intents.insert(record["seq"].as_u64().unwrap());
            }
        }
    }
    assert!(intents.is_empty());
    open.close().unwrap();
}

#[test]
fn pages_go_on_behind_segments_that_were_moved_away() {
    let log = Log::empty(1 << 25);
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    let eoa = kit::eoa(7);
    let event = || Event {
        operation: "keys.list",
        actor: Actor::token(Some(eoa.clone()), "tok_1", None),
        request: None,
        key: None,
        input: None,
        code: "ok",
    };
    // More than one page looks at.
    while log.firsts().len() < 2 {
        (0..1_000).for_each(|_| open.note(event()));
        runtime().block_on(open.note_durable(event())).unwrap();
    }
    let moved = log.firsts()[1];
    assert!(moved > 50_000);
    fs::rename(log.segment_path(0), log.directory().join("moved")).unwrap();
    let page = runtime().block_on(open.page(Some(eoa.clone()), 0, 5)).unwrap();
    assert_eq!(page.records.len(), 5);
    assert!(page.records[0].contains(&format!("\"seq\":{moved},")) && page.next == moved + 4, "{page:?}");
    assert_eq!(page.absent, vec![1..moved], "the gap is named");
    assert!(runtime().block_on(open.page(None, page.next, 5)).unwrap().absent.is_empty());
    open.close().unwrap();
}

#[test]
fn export_gives_one_accounts_records_with_their_outcomes_and_respects_times() {
    use audit_log::{Filter, export};
    let log = Log::empty(1 << 18);
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    fill(&open, 6);
    open.close().unwrap();
    let directory = log.directory();
    let count = |filter| export(&directory, filter).unwrap().map(Result::unwrap).count();
    let eoa = Some(kit::eoa(3));
    assert_eq!(count(Filter::default()), 14);
    assert_eq!(count(Filter { eoa, ..Filter::default() }), 2);
    assert_eq!(count(Filter { key: Some("default".to_owned()), ..Filter::default() }), 12);
    assert_eq!(count(Filter { key: Some("other".to_owned()), ..Filter::default() }), 0);
    assert_eq!(count(Filter { since: Some(u64::from(u32::MAX)), ..Filter::default() }), 0);
    assert_eq!(count(Filter { until: Some(u64::from(u32::MAX)), ..Filter::default() }), 14);
}

#[test]
fn a_quiet_log_still_shows_signs_of_life_and_a_busy_one_does_not_wait_for_the_second() {
    let log = Log::empty(1 << 20);
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    let (send, seen) = std::sync::mpsc::channel();
    let quiet = PublisherSettings {
        every: Duration::from_millis(50),
        idle: Duration::from_millis(150),
        sinks: vec![CheckpointSink::new("the test", Duration::ZERO, move |one| {
            let _ = send.send((one.size(), std::time::Instant::now()));
            Ok(())
        })],
        ..publishing(1)
    };
    let begun = std::time::Instant::now();
    open.publish(quiet).unwrap();
    let next = || seen.recv_timeout(Duration::from_secs(10)).unwrap();
    let (first, second, third) = (next(), next(), next());
    assert_eq!((first.0, second.0, third.0), (1, 1, 1), "nothing happened in between");
    assert!(third.1 - begun >= Duration::from_millis(300), "no more often than it must");
    open.close().unwrap();

    let log = Log::empty(1 << 22);
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    open.publish(PublisherSettings { every: Duration::from_secs(3_600), ..publishing(1) }).unwrap();
    let event = Event {
        operation: "keys.list",
        actor: Actor::local(),
        request: None,
        key: None,
        input: None,
        code: "ok",
    };
    (0..4_200).for_each(|_| open.note(event.clone()));
    let begun = std::time::Instant::now();
    while open.checkpoint().unwrap().size() < 4_096 {
        assert!(begun.elapsed() < Duration::from_secs(20), "4,096 records and no checkpoint");
        std::thread::sleep(Duration::from_millis(10));
    }
    open.close().unwrap();
}

#[test]
fn the_mirror_has_every_line_once_across_restarts_and_a_cut_line() {
    let log = Log::empty(1 << 16);
    let mirror = log.directory().with_extension("jsonl");
    for round in 0..3 {
        let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
        open.publish(PublisherSettings { mirror: Some(mirror.clone()), ..publishing(1) }).unwrap();
        fill(&open, 30);
        open.close().unwrap();
        if round == 0 {
            let bytes = fs::read(&mirror).unwrap();
            fs::write(&mirror, &bytes[..bytes.len() - 25]).unwrap();
        }
    }
    let expected: Vec<_> = lines(&log.directory(), 0, None).unwrap().map(|line| line.unwrap().json).collect();
    let found = fs::read_to_string(&mirror).unwrap();
    assert_eq!(found.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_mirror_that_was_rotated_away_continues_in_a_new_file_also_after_a_restart() {
    let log = Log::empty(1 << 16);
    let mirror = log.directory().with_extension("jsonl");
    let mut found = Vec::new();
    for _ in 0..3 {
        let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
        open.publish(PublisherSettings { mirror: Some(mirror.clone()), ..publishing(1) }).unwrap();
        fill(&open, 5);
        open.close().unwrap();
        found.extend(fs::read_to_string(&mirror).unwrap().lines().map(str::to_owned));
        fs::remove_file(&mirror).unwrap();
    }
    let expected: Vec<_> = lines(&log.directory(), 0, None).unwrap().map(|line| line.unwrap().json).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_damaged_or_missing_frame_inside_a_page_is_an_error_and_not_a_gap() {
    for damage in ["flipped", "zeroed"] {
        let log = Log::empty(1 << 16);
        let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
        fill(&open, 8);
        let mut frames = log.frames(0);
        let frame = &mut frames[5];
        match damage {
            "flipped" => frame[200] ^= 1,
            _ => frame.fill(0),
        }
        let seq = 5;
        let page = |after, limit| runtime().block_on(open.page(None, after, limit));
        let before = page(0, 100).unwrap();
        log.write_frames(0, &frames);
        let refused = page(0, 100).unwrap_err().to_string();
        assert!(refused.contains(&format!("record {seq} ")), "{damage}: {refused}");
        // The records before it are still shown.
        assert_eq!(page(0, 4).unwrap().records, before.records[..4], "{damage}");
        open.close().unwrap();
    }
}

#[test]
fn a_missing_segment_is_named_in_every_page_that_covers_it() {
    let log = Log::with_segments(5);
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    let (firsts, size) = (log.firsts(), open.head().size);
    let page = |after, limit| runtime().block_on(open.page(None, after, limit)).unwrap();
    assert!(page(0, usize::MAX).absent.is_empty());
    let aside = log.directory().with_extension("aside");
    fs::rename(log.segment_path(firsts[1]), &aside).unwrap();
    let gap = firsts[1]..firsts[2];
    let whole = page(0, usize::MAX);
    assert_eq!((whole.absent, whole.next), (vec![gap.clone()], size - 1));
    // A page that is full before the gap does not name it, the next one does, and one that begins inside names the rest.
    let limit = usize::try_from(gap.start - 1).unwrap();
    let before = page(0, limit);
    assert!(before.absent.is_empty() && before.next == gap.start - 1, "{:?} {}", before.absent, before.next);
    assert_eq!(page(before.next, 3).absent, vec![gap.clone()]);
    assert_eq!(page(gap.start + 2, 3).absent, vec![gap.start + 3..gap.end]);
    fs::rename(&aside, log.segment_path(firsts[1])).unwrap();
    // Nothing of the log is there any more.
    firsts.iter().for_each(|&first| fs::remove_file(log.segment_path(first)).unwrap());
    let nothing = page(0, 10);
    assert_eq!(
        (nothing.absent, nothing.next, nothing.records.len()),
        (std::iter::once(1..size).collect::<Vec<_>>(), size - 1, 0)
    );
    open.close().unwrap_err();
}

#[test]
fn an_outcome_is_shown_to_the_account_of_its_intent_however_far_back_that_is() {
    let log = Log::empty(1 << 20);
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    let held = [7, 8].map(|n| runtime().block_on(open.record(Multiply(n))).unwrap());
    (0..12).for_each(|_| fill(&open, 100));
    let after = open.head().size - 1;
    for recorded in held {
        runtime().block_on(recorded.consume().1.record_outcome_durable(Outcome::ok(1))).unwrap();
    }
    let page = runtime().block_on(open.page(Some(kit::eoa(7)), after, 10)).unwrap();
    assert_eq!(page.records.len(), 1);
    assert!(page.records[0].contains("\"intent\":1,"), "{page:?}");
    open.close().unwrap();
}
