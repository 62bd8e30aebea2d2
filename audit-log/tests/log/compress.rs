//! Completed segments are compressed and moved away; readers do not mind, and say what is not there.

use std::fs;
use std::path::PathBuf;

use crate::support::kit::{Log, Multiply, boot, runtime};
use audit_log::{AuditLog, CorruptionKind, Outcome, compress, lines, tail, verify};

fn packed(log: &Log, first: u64) -> PathBuf {
    log.directory().join(format!("seg-{first:020}.log.zst"))
}

fn all(log: &Log) -> Vec<String> {
    lines(&log.directory(), 0, None).unwrap().map(|line| line.unwrap().json).collect()
}

#[test]
fn a_compressed_log_reads_the_same_and_continues() {
    let log = Log::with_segments(5);
    let (before, firsts) = (all(&log), log.firsts());
    let done = compress(&log.directory(), 1).unwrap();
    assert_eq!((done.segments, done.held), (3, 0));
    assert!(done.after * 2 < done.before, "{done:?}");
    assert_eq!(log.firsts(), firsts[3..], "the newest completed one and the last one stay");
    assert_eq!(compress(&log.directory(), 0).unwrap().segments, 1);
    assert_eq!(compress(&log.directory(), 0).unwrap().segments, 0);
    let report = verify(&log.directory()).unwrap();
    assert!(report.is_sound() && report.absent.is_empty(), "{report:?}");
    assert_eq!((report.head.unwrap(), report.segments), (log.head(), 5));
    assert_eq!(all(&log), before);
    let last: Vec<_> = tail(&log.directory(), 3, None).unwrap().map(|line| line.unwrap().json).collect();
    assert_eq!(last, before[before.len() - 3..]);

    let (open, unsettled) = AuditLog::open(log.settings(), boot()).unwrap();
    assert!(unsettled.is_empty());
    let page = runtime().block_on(open.page(None, firsts[1], 5)).unwrap();
    assert_eq!(page.records, before[firsts[1] as usize + 1..][..5]);
    runtime().block_on(open.record(Multiply(1))).unwrap().consume().1.record_outcome(Outcome::ok(1));
    open.close().unwrap();
    assert!(verify(&log.directory()).unwrap().is_sound());
}

#[test]
fn what_is_moved_away_is_named_and_can_be_checked_where_it_is() {
    let log = Log::with_segments(5);
    let firsts = log.firsts();
    compress(&log.directory(), 0).unwrap();
    let archive = tempfile::tempdir().unwrap();
    for &first in &firsts[..2] {
        let from = packed(&log, first);
        fs::rename(&from, archive.path().join(from.file_name().unwrap())).unwrap();
    }
    let report = verify(&log.directory()).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.absent, vec![0..firsts[2]]);
    let report = verify(archive.path()).unwrap();
    assert!(report.is_sound() && report.absent.is_empty(), "{report:?}");
    assert_eq!(report.head.unwrap().size, firsts[2]);
}

#[test]
fn a_changed_byte_of_a_compressed_segment_is_found_or_gives_back_the_same_segment() {
    let log = Log::with_segments(3);
    compress(&log.directory(), 0).unwrap();
    let first = log.copy();
    let bytes = fs::read(packed(&first, 0)).unwrap();
    let (segment, mut harmless) = (zstd::decode_all(&bytes[..]).unwrap(), 0);
    for place in (0..bytes.len()).step_by(7).chain(0..24) {
        let mut changed = bytes.clone();
        changed[place] ^= 0x10;
        fs::write(packed(&first, 0), &changed).unwrap();
        let report = verify(&first.directory()).unwrap();
        if report.is_sound() {
            // Zeros that are copied from another place are the same zeros.
            assert_eq!(zstd::decode_all(&changed[..]).unwrap(), segment, "byte {place}: {report:?}");
            harmless += 1;
        }
    }
    assert!(harmless * 20 < bytes.len() / 7, "{harmless} changes were not seen");
    for wrong in [&bytes[..bytes.len() - 9], &[&bytes[..], b"more"].concat(), b"", &[0; 64]] {
        fs::write(packed(&first, 0), wrong).unwrap();
        let fault = verify(&first.directory()).unwrap().corruption.unwrap();
        assert_eq!(fault.kind, CorruptionKind::Compressed, "{} bytes: {fault}", wrong.len());
    }
}

/// Whatever the process dies at, the segment is there in one form or the other, and the next run finishes.
#[test]
fn a_compression_that_was_cut_anywhere_is_finished_by_the_next() {
    let log = Log::with_segments(3);
    let (first, head) = (log.segment(0), log.head());
    let done = log.copy();
    compress(&done.directory(), 0).unwrap();
    let good = fs::read(packed(&done, 0)).unwrap();
    let aside = |log: &Log| packed(log, 0).with_extension("new");
    type Cut<'a> = (&'a str, &'a dyn Fn(&Log));
    let cut: [Cut<'_>; 4] = [
        ("begun", &|log| fs::write(aside(log), &good[..good.len() / 2]).unwrap()),
        ("whole, not renamed", &|log| fs::write(aside(log), &good).unwrap()),
        ("renamed, the segment still there", &|log| fs::write(packed(log, 0), &good).unwrap()),
        ("renamed and torn", &|log| fs::write(packed(log, 0), &good[..9]).unwrap()),
    ];
    for (name, cut) in cut {
        let copy = log.copy();
        cut(&copy);
        let report = verify(&copy.directory()).unwrap();
        assert!(report.is_sound() && report.absent.is_empty(), "{name}: {report:?}");
        assert_eq!(report.records, head.size, "{name}: nothing counts twice");
        compress(&copy.directory(), 0).unwrap();
        assert!(!aside(&copy).exists() && !copy.segment_path(0).exists(), "{name}");
        assert_eq!(zstd::decode_all(&fs::read(packed(&copy, 0)).unwrap()[..]).unwrap(), first, "{name}");
        assert_eq!(verify(&copy.directory()).unwrap().head.unwrap(), head, "{name}");
    }
}

#[test]
fn a_damaged_segment_and_one_with_an_open_intent_are_left_alone() {
    let log = Log::with_segments(3);
    let mut bytes = log.segment(0);
    bytes[5000] ^= 1;
    log.write_segment(0, &bytes);
    compress(&log.directory(), 0).unwrap_err();
    assert!(log.segment_path(0).exists() && !packed(&log, 0).exists());

    let copy = Log::with_open_intent(4);
    let done = compress(&copy.directory(), 0).unwrap();
    assert_eq!((done.segments, done.held), (0, 3));
    let (open, unsettled) = AuditLog::open(copy.settings(), boot()).unwrap();
    assert_eq!(unsettled.len(), 1, "the next start finds the intent");
    open.close().unwrap();
}
