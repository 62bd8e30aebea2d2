//! The disk becomes read-only, or the right to write is lost, under the running log.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::kit::{Multiply, boot, runtime};
use crate::support::loop_disk::{LoopDisk, run};
use audit_log::{AuditError, AuditLog, Outcome, Receipt, Settings, lines, verify};

async fn one(log: &AuditLog) -> Result<Receipt, AuditError> {
    let recorded = log.record(Multiply(1)).await.map_err(|refused| refused.error)?;
    let receipt = recorded.receipt();
    recorded.consume().1.record_outcome_durable(Outcome::ok(1)).await?;
    Ok(receipt)
}

/// A log on a disk of its own with one acknowledged operation.
fn on_a_disk(root: &Path) -> Option<(LoopDisk, Settings, AuditLog, Receipt)> {
    let Some(disk) = LoopDisk::make(root) else {
        test_report::skipped("needs root, loop devices and mkfs.ext4 for a disk to break");
        return None;
    };
    let settings = Settings { segment_bytes: 1 << 18, ..Settings::new(disk.mount.join("audit")) };
    AuditLog::create(&settings).unwrap();
    let (log, _) = AuditLog::open(settings.clone(), boot()).unwrap();
    let receipt = runtime().block_on(one(&log)).unwrap();
    Some((disk, settings, log, receipt))
}

/// Refused with these words, and at once from then on.
fn refused(log: &AuditLog, words: &str) {
    let error = runtime().block_on(one(log)).unwrap_err().to_string();
    assert!(error.contains(words), "{error}");
    std::thread::sleep(Duration::from_millis(500));
    assert!(!log.is_writable());
    let begun = Instant::now();
    assert!(matches!(runtime().block_on(one(log)), Err(AuditError::Unavailable { .. })));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

/// Waits until the log can be written, records one operation, and verifies all of it.
fn works_again(log: AuditLog, settings: &Settings) {
    let begun = Instant::now();
    while !log.is_writable() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the log never became writable again");
        std::thread::sleep(Duration::from_millis(20));
    }
    runtime().block_on(one(&log)).unwrap();
    log.close().unwrap();
    assert!(verify(&settings.directory).unwrap().is_sound());
}

#[test]
fn a_disk_that_becomes_read_only_stops_signing_and_loses_nothing() {
    let root = tempfile::tempdir().unwrap();
    let Some((disk, settings, log, receipt)) = on_a_disk(root.path()) else { return };
    // What ext4 does when it meets an error of the device.
    assert!(run("mount", &["-o", "remount,abort", disk.mount.to_str().unwrap()]));
    refused(&log, "Read-only file system");
    log.close().unwrap_err();
    disk.again();
    let (log, unsettled) = AuditLog::open(settings.clone(), boot()).unwrap();
    assert!(unsettled.is_empty(), "{unsettled:?}");
    runtime().block_on(one(&log)).unwrap();
    log.close().unwrap();
    assert!(verify(&settings.directory).unwrap().is_sound());
    let found = lines(&settings.directory, receipt.seq, None).unwrap().next().unwrap().unwrap();
    assert_eq!(audit_log::leaf_hash(found.json.as_bytes()), receipt.record_hash);
}

#[test]
fn permission_that_is_lost_stops_signing_until_it_is_back() {
    let root = tempfile::tempdir().unwrap();
    let Some((_disk, settings, log, _)) = on_a_disk(root.path()) else { return };
    let directory = settings.directory.to_str().unwrap();
    let segment = format!("{directory}/seg-{:020}.log", 0);
    // Root may do everything, except this.
    if !run("chattr", &["+i", &segment, directory]) {
        test_report::skipped("needs chattr");
        return;
    }
    refused(&log, "Operation not permitted");
    assert!(run("chattr", &["-i", directory, &segment]));
    works_again(log, &settings);
}

#[test]
fn on_a_full_disk_only_the_reserved_lane_is_recorded_and_stays() {
    let root = tempfile::tempdir().unwrap();
    let Some((disk, settings, log, _)) = on_a_disk(root.path()) else { return };
    let filler = disk.mount.join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    for size in [1 << 20, 1 << 12, 512] {
        while std::io::Write::write_all(&mut file, &vec![0; size]).is_ok() {}
    }
    drop(file);
    let error = runtime().block_on(async {
        loop {
            if let Err(error) = one(&log).await {
                break error.to_string();
            }
        }
    });
    assert!(error.contains("No space left"), "{error}");
    let reserved = runtime().block_on(async {
        let mut receipts = Vec::new();
        for _ in 0..5 {
            let recorded = log.record_reserved(Multiply(9)).await.map_err(|refused| refused.error).unwrap();
            receipts.push(recorded.receipt());
            recorded.consume().1.record_outcome_durable(Outcome::ok(1)).await.unwrap();
            assert!(one(&log).await.is_err(), "the ordinary lane is closed");
        }
        receipts
    });
    assert!(!log.is_writable());
    // However long it lasts, the reserve ends with an error.
    let ended = runtime().block_on(async {
        for _ in 0..10_000 {
            if let Err(refused) = log.record_reserved(Multiply(9)).await {
                return refused.error.to_string();
            }
        }
        String::new()
    });
    assert!(!ended.is_empty());
    std::fs::remove_file(&filler).unwrap();
    works_again(log, &settings);
    for receipt in reserved {
        let found = lines(&settings.directory, receipt.seq, None).unwrap().next().unwrap().unwrap();
        assert_eq!(audit_log::leaf_hash(found.json.as_bytes()), receipt.record_hash);
    }
}
