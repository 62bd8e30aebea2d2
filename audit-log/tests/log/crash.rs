//! What a crash leaves, and what the next open makes of it.

use crate::support::kit::{self, Log, Multiply, boot, runtime};
use audit_log::{AuditLog, CorruptionKind, OpenError, Outcome, lines, verify};

/// The sector that a disk writes wholly or not at all.
const SECTOR: usize = 512;
/// The head of a frame.
const HEAD: usize = 84;

/// A log whose last frame spans several sectors.
struct Long {
    log: Log,
    /// Where that frame begins in the file, and its length.
    start: usize,
    len: usize,
    /// Its first record; all before it but the start are intents.
    first: u64,
    /// How many records it holds, all of them intents.
    count: u64,
}

fn with_a_long_last_frame() -> Long {
    let log = Log::with_one_batch(9);
    let frames = log.frames(0);
    let [start, intents, ..] = frames.as_slice() else { panic!("{} frames", frames.len()) };
    assert!(intents.len() >= 8 * SECTOR, "{} bytes", intents.len());
    log.write_frames(0, &frames[..2]);
    let (first, count) = (kit::first_of(intents), kit::count_of(intents));
    Long { start: kit::HEADER + start.len(), len: intents.len(), first, count, log }
}

#[test]
fn a_last_frame_of_which_any_sectors_are_missing_is_removed_and_the_log_continues() {
    let Long { log, start, len, first, count } = with_a_long_last_frame();
    let bytes = log.segment(0);
    let sectors = len / SECTOR;
    for written in 0..1_u32 << sectors.min(8) {
        let copy = log.copy();
        let mut torn = bytes.clone();
        for sector in 0..sectors.min(8) {
            if written & (1 << sector) == 0 {
                torn[start + sector * SECTOR..][..SECTOR].fill(0);
            }
        }
        copy.write_segment(0, &torn);
        let whole = written + 1 == 1 << sectors.min(8);
        let report = verify(&copy.directory()).unwrap();
        assert!(report.is_sound(), "{written:b}: {report:?}");
        let (opened, unsettled) = AuditLog::open(copy.settings(), boot()).unwrap();
        let size = if whole { first + count } else { first };
        assert_eq!(unsettled.len() as u64, size - 1, "{written:b}");
        let head = opened.close().unwrap();
        assert_eq!(head.size, size + 2, "a start and a stop more");
        let report = verify(&copy.directory()).unwrap();
        assert!(report.is_sound() && report.torn_tail.is_none(), "{report:?}");
        assert_eq!(report.head.unwrap(), head);
    }
}

/// A disk writes whole sectors, so a cut inside one is not a crash but damage, and no operator must lose an
/// acknowledged record because of a silent repair.
#[test]
fn a_last_frame_cut_at_any_byte_is_removed_or_refused_never_taken_and_never_half_taken() {
    let Long { log, start, len, first, .. } = with_a_long_last_frame();
    let bytes = log.segment(0);
    let content = bytes[start..start + len].iter().rposition(|&byte| byte != 0).unwrap() + 1;
    let last_sector = (content - 1) / SECTOR * SECTOR;
    let edges = (0..content).step_by(SECTOR).flat_map(|edge| [edge, edge + 1, edge + SECTOR - 1]);
    let cuts = edges.chain(1..90).chain(last_sector..content).filter(|&cut| cut < content);
    for cut in cuts.step_by(3) {
        let copy = log.copy();
        let mut torn = bytes.clone();
        torn[start + cut..].fill(0);
        copy.write_segment(0, &torn);
        // Inside the head, or inside the last sector, no sector is wholly missing.
        let inside = (1..HEAD).contains(&cut) || cut > last_sector;
        match AuditLog::open(copy.settings(), boot()) {
            Ok((opened, unsettled)) => {
                assert!(!inside, "cut at {cut}");
                assert_eq!(unsettled.len() as u64, first - 1, "cut at {cut}");
                assert_eq!(opened.close().unwrap().size, first + 2, "cut at {cut}");
            }
            Err(OpenError::Damaged { fault, .. }) => {
                assert!(inside, "cut at {cut}: {fault}");
                assert!(fault.seq >= first && fault.offset == start as u64, "{fault}");
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn intents_without_an_outcome_come_back_until_they_are_settled() {
    let log = Log::empty(1 << 18);
    let copy = runtime().block_on(async {
        let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
        let first = open.record(Multiply(1)).await.unwrap();
        let second = open.record(Multiply(2)).await.unwrap();
        second.consume().1.record_outcome_durable(Outcome::ok(1)).await.unwrap();
        // The process dies here: the files as they are now.
        let copy = log.copy();
        drop(first);
        copy
    });
    for round in 0..3 {
        let (open, unsettled) = AuditLog::open(copy.settings(), boot()).unwrap();
        assert_eq!(unsettled.len(), usize::from(round < 2), "round {round}");
        for unsettled in unsettled {
            assert_eq!(unsettled.receipt.seq, 1);
            assert_eq!(unsettled.operation, "scalar_mul");
            assert_eq!(unsettled.text("/key/name"), Some("default"));
            assert_eq!(unsettled.text("/key/id"), Some("00ff"));
            if round == 1 {
                runtime().block_on(open.record_recovered(&unsettled, &Outcome::unknown())).unwrap();
            }
        }
        open.close().unwrap();
    }
    let all: Vec<_> = lines(&copy.directory(), 0, None).unwrap().map(|line| line.unwrap().json).collect();
    let recovered: Vec<_> =
        all.iter().filter(|line| line.contains("\"kind\":\"recovered\",\"intent\":1,")).collect();
    assert_eq!(recovered.len(), 1);
    assert!(recovered[0].contains("\"code\":\"outcome_unknown\""));
    assert_eq!(verify(&copy.directory()).unwrap().open_intents, 0);
}

#[test]
fn an_intent_left_open_in_an_older_segment_comes_back() {
    let copy = Log::with_open_intent(3);
    let (open, unsettled) = AuditLog::open(copy.settings(), boot()).unwrap();
    let found: Vec<_> = unsettled.iter().map(|unsettled| unsettled.receipt.seq).collect();
    assert_eq!(found, [1]);
    open.close().unwrap();
}

#[test]
fn a_client_that_hangs_up_while_the_disk_works_leaves_an_intent_and_an_abandoned_outcome() {
    let log = Log::empty(1 << 18);
    runtime().block_on(async {
        let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
        let mut waiting = Box::pin(open.record(Multiply(1)));
        let poll = std::future::poll_fn(|context| std::task::Poll::Ready(waiting.as_mut().poll(context)));
        assert!(poll.await.is_pending());
        drop(waiting);
        let recorded = open.record(Multiply(2)).await.unwrap();
        drop(recorded);
        open.close().unwrap();
    });
    let all: Vec<_> = lines(&log.directory(), 0, None).unwrap().map(|line| line.unwrap().json).collect();
    for intent in [1, 2] {
        let ending = format!("\"kind\":\"outcome\",\"intent\":{intent},");
        assert!(
            all.iter().any(|line| line.contains(&ending) && line.contains("\"code\":\"abandoned\"")),
            "{all:#?}"
        );
    }
}

#[test]
fn two_writers_of_one_directory_are_refused() {
    let log = Log::empty(1 << 18);
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    assert!(matches!(AuditLog::open(log.settings(), boot()), Err(OpenError::Locked { .. })));
    assert!(matches!(AuditLog::create(&log.settings()), Err(OpenError::Locked { .. })));
    open.close().unwrap();
    assert!(matches!(AuditLog::create(&log.settings()), Err(OpenError::Exists { .. })));
    AuditLog::open(log.settings(), boot()).unwrap().0.close().unwrap();
}

#[test]
fn an_empty_or_missing_directory_is_no_log() {
    let root = tempfile::tempdir().unwrap();
    let settings = audit_log::Settings::new(root.path());
    assert!(matches!(AuditLog::open(settings, boot()), Err(OpenError::Missing { .. })));
    let settings = audit_log::Settings::new(root.path().join("absent"));
    assert!(matches!(AuditLog::open(settings, boot()), Err(OpenError::Missing { .. })));
}

#[test]
fn the_frame_after_a_damaged_one_proves_that_it_was_acknowledged() {
    let log = Log::with_records(8);
    let copy = log.copy();
    let mut frames = log.frames(0);
    let last = frames.len() - 2;
    let len = frames[last].len();
    frames[last][len - SECTOR..].fill(0);
    copy.write_frames(0, &frames);
    let fault = verify(&copy.directory()).unwrap().corruption.unwrap();
    assert_eq!((fault.seq, fault.kind), (last as u64, CorruptionKind::Missing));
    assert!(matches!(AuditLog::open(copy.settings(), boot()), Err(OpenError::Damaged { .. })));
}
