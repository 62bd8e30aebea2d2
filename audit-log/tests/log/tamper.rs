//! What an owner of the disk changes, and what verification reports.

use std::fs;

use crate::support::kit::{self, Kept, Log};
use audit_log::{AuditLog, CorruptionKind, OpenError, Report, verify};
use proptest::prelude::*;

fn damaged(report: &Report) -> (u64, CorruptionKind) {
    let fault = report.corruption.clone().expect("the change was not found");
    (fault.seq, fault.kind)
}

#[test]
fn an_unchanged_log_is_sound() {
    let log = Log::with_records(40);
    let report = verify(&log.directory()).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.records, report.open_intents), (42, 0));
    assert_eq!(report.head.unwrap(), log.head());
    assert!(report.absent.is_empty() && report.torn_tail.is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_flipped_bit_in_the_written_part_is_found(place in any::<prop::sample::Index>(), bit in 0_u32..8) {
        static LOG: std::sync::LazyLock<Kept> = std::sync::LazyLock::new(|| Log::with_records(60).keep());
        let copy = LOG.copy();
        let mut bytes = copy.segment(0);
        let place = place.index(LOG.written());
        bytes[place] ^= 1 << bit;
        copy.write_segment(0, &bytes);
        let report = verify(&copy.directory()).unwrap();
        prop_assert!(report.corruption.is_some(), "byte {} bit {}: {:?}", place, bit, report);
        // An open for writing finds it, too, and does not repair it.
        let opened = AuditLog::open(copy.settings(), kit::boot());
        prop_assert!(matches!(opened, Err(OpenError::Damaged { .. })), "byte {} bit {}: {:?}", place, bit, opened);
    }
}

#[test]
fn a_changed_byte_is_found_in_the_record_that_it_belongs_to() {
    let log = Log::with_one_batch(9);
    for seq in 1..10 {
        let copy = log.copy();
        let mut bytes = copy.segment(0);
        let word = format!("\"seq\":{seq},");
        let at = bytes.windows(word.len()).position(|window| window == word.as_bytes()).unwrap();
        let code = bytes[at..].windows(8).position(|window| window == b"\"op\":\"sc").unwrap();
        bytes[at + code + 6] = b'S';
        copy.write_segment(0, &bytes);
        let report = verify(&copy.directory()).unwrap();
        assert_eq!(damaged(&report), (seq, CorruptionKind::Content));
        let fault = report.corruption.unwrap().to_string();
        assert!(fault.starts_with(&format!("record {seq} (seg-00000000000000000000.log, byte ")), "{fault}");
    }
}

/// An attacker with knowledge of the format, who repairs every checksum and root but not the earlier records.
#[test]
fn dropped_swapped_duplicated_and_inserted_frames_are_found_even_with_repaired_checksums() {
    let log = Log::with_records(12);
    let frames = log.frames(0);
    let n = frames.len();
    let mut dropped = frames.clone();
    dropped.remove(4);
    let mut swapped = frames.clone();
    swapped.swap(4, 5);
    let mut duplicated = frames.clone();
    duplicated.insert(5, frames[4].clone());
    let mut inserted = frames.clone();
    inserted.insert(5, frames[n - 1].clone());
    for (name, frames) in
        [("dropped", dropped), ("swapped", swapped), ("duplicated", duplicated), ("inserted", inserted)]
    {
        let copy = log.copy();
        copy.write_frames(0, &frames);
        let report = verify(&copy.directory()).unwrap();
        let (seq, damage) = damaged(&report);
        let expected = if name == "duplicated" || name == "inserted" { 5 } else { 4 };
        assert_eq!(seq, expected, "{name}: {damage}");
        assert!(matches!(damage, CorruptionKind::Sequence { .. }), "{name}: {damage}");
        assert!(AuditLog::open(copy.settings(), kit::boot()).is_err(), "{name}");
    }
}

#[test]
fn a_rewritten_record_with_repaired_checksums_and_root_breaks_the_chain_at_the_next_record() {
    let log = Log::with_records(12);
    let copy = log.copy();
    let mut frames = log.frames(0);
    kit::rewrite(&mut frames[3], b"scalar_mul", b"public_key");
    copy.write_frames(0, &frames);
    let report = verify(&copy.directory()).unwrap();
    assert_eq!(damaged(&report), (3, CorruptionKind::Root));
}

#[test]
fn the_middle_frame_zeroed_is_a_missing_frame_not_a_crash() {
    let log = Log::with_records(12);
    let copy = log.copy();
    let mut frames = log.frames(0);
    frames[6].fill(0);
    copy.write_frames(0, &frames);
    assert_eq!(damaged(&verify(&copy.directory()).unwrap()), (6, CorruptionKind::Missing));
    assert!(matches!(AuditLog::open(copy.settings(), kit::boot()), Err(OpenError::Damaged { .. })));
}

#[test]
fn a_missing_middle_segment_is_named_as_absent_and_the_rest_is_checked() {
    let log = Log::with_segments(4);
    let firsts = log.firsts();
    let copy = log.copy();
    fs::remove_file(copy.segment_path(firsts[1])).unwrap();
    let report = verify(&copy.directory()).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.absent, vec![firsts[1]..firsts[2]]);
    assert_eq!(report.head.unwrap(), log.head());
    // The service still opens it: retention moved the segment away.
    AuditLog::open(copy.settings(), kit::boot()).unwrap().0.close().unwrap();
}

#[test]
fn a_segment_cut_short_or_with_another_logs_segment_beside_it_is_refused() {
    let log = Log::with_segments(3);
    let firsts = log.firsts();
    let copy = log.copy();
    let bytes = copy.segment(firsts[0]);
    copy.write_segment(firsts[0], &bytes[..bytes.len() - 4096]);
    assert_eq!(damaged(&verify(&copy.directory()).unwrap()), (0, CorruptionKind::SegmentSize));

    let other = Log::with_records(3);
    let copy = log.copy();
    fs::copy(other.segment_path(0), copy.segment_path(0)).unwrap();
    assert!(!verify(&copy.directory()).unwrap().is_sound());
    assert!(matches!(AuditLog::open(copy.settings(), kit::boot()), Err(OpenError::Mixed { .. })));
}

#[test]
fn the_end_of_a_completed_segment_zeroed_is_a_missing_frame() {
    let log = Log::with_segments(3);
    let copy = log.copy();
    let mut frames = log.frames(0);
    let last = frames.len() - 1;
    let seq = kit::first_of(&frames[last]);
    frames[last].fill(0);
    copy.write_frames(0, &frames);
    assert_eq!(damaged(&verify(&copy.directory()).unwrap()), (seq, CorruptionKind::Missing));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    /// Whatever is in the directory, a reader returns; it never panics and never hangs.
    #[test]
    fn a_reader_survives_any_bytes(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        cut in any::<prop::sample::Index>(),
        repaired in any::<bool>(),
    ) {
        static LOG: std::sync::LazyLock<Kept> = std::sync::LazyLock::new(|| Log::with_records(20).keep());
        let copy = LOG.copy();
        let mut frames = copy.frames(0);
        for (place, byte) in places {
            let index = place.index(frames.len());
            let at = place.index(frames[index].len());
            frames[index][at] = byte;
            if repaired {
                // Wrong lengths, under right checksums.
                let len = u32::from_be_bytes(frames[index][28..32].try_into().unwrap()) as usize;
                if 84 + len + 36 <= frames[index].len() {
                    kit::repair(&mut frames[index]);
                }
            }
        }
        frames.truncate(cut.index(frames.len()) + 1);
        copy.write_frames(0, &frames);
        let _ = verify(&copy.directory()).unwrap();
        for line in audit_log::lines(&copy.directory(), 0, None).unwrap() {
            if line.is_err() {
                break;
            }
        }
        let _ = audit_log::tail(&copy.directory(), 3, None);
    }
}
