//! The disk fails, or someone changes its files, under the running service.

use std::fs::{self, File};
use std::time::Duration;

use crate::support::kit::{Log, Multiply, boot, runtime};
use audit_log::{AuditError, AuditLog, Outcome, Receipt, lines, verify};
use test_report::Guarantee;

async fn one(log: &AuditLog, n: u8) -> Result<Receipt, AuditError> {
    let recorded = log.record(Multiply(n)).await.map_err(|refused| refused.error)?;
    let receipt = recorded.receipt();
    recorded.consume().1.record_outcome_durable(Outcome::ok(1)).await?;
    Ok(receipt)
}

async fn until_writable(log: &AuditLog) {
    let patience = async {
        while !log.is_writable() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), patience)
        .await
        .expect("the log never became writable again");
}

/// Breaks the log, expects the next intent to be refused with these words, repairs it, expects it to go on.
fn breaks(damage: impl FnOnce(&Log), repair: impl FnOnce(&Log), words: &str) -> Log {
    let log = Log::empty(1 << 18);
    runtime().block_on(async {
        let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
        one(&open, 1).await.unwrap();
        damage(&log);
        let error = open.record(Multiply(2)).await.unwrap_err().error.to_string();
        assert!(error.contains(words), "{error}");
        repair(&log);
        until_writable(&open).await;
        one(&open, 3).await.unwrap();
        open.close().unwrap();
    });
    log
}

#[test]
fn a_deleted_segment_is_noticed_before_the_record_is_acknowledged() {
    let log = breaks(|log| fs::remove_file(log.segment_path(0)).unwrap(), |_| (), "moved or deleted");
    let report = verify(&log.directory()).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.absent, vec![0..3], "the acknowledged records are gone and that is said");
}

#[test]
fn a_replaced_segment_is_noticed() {
    let swap = |log: &Log| {
        let path = log.segment_path(0);
        fs::rename(&path, path.with_extension("old")).unwrap();
        fs::copy(path.with_extension("old"), &path).unwrap();
    };
    let log = breaks(swap, |_| (), "replaced by another file");
    let report = verify(&log.directory()).unwrap();
    assert!(report.is_sound() && report.absent.is_empty(), "{report:?}");
    let all: Vec<_> = lines(&log.directory(), 0, None).unwrap().map(|line| line.unwrap().json).collect();
    let resume = all.iter().find(|line| line.contains("\"kind\":\"resume\"")).unwrap();
    assert!(resume.contains("\"abandoned\":\"seg-00000000000000000000.log\""), "{resume}");
    assert!(!all.iter().any(|line| line.contains(&"02".repeat(16))), "the refused intent is not in the log");
}

#[test]
fn a_shortened_segment_is_noticed() {
    let cut =
        |log: &Log| File::options().write(true).open(log.segment_path(0)).unwrap().set_len(8192).unwrap();
    breaks(cut, |_| (), "size of the audit segment was changed");
}

#[test]
fn a_moved_directory_is_noticed_and_signing_resumes_when_it_is_back() {
    let elsewhere = |log: &Log| log.directory().with_extension("moved");
    let log = breaks(
        |log| fs::rename(log.directory(), elsewhere(log)).unwrap(),
        |log| {
            // Some attempts to go on.
            std::thread::sleep(Duration::from_millis(1_000));
            fs::rename(elsewhere(log), log.directory()).unwrap();
        },
        "directory was moved or deleted",
    );
    assert!(verify(&log.directory()).unwrap().is_sound());
    let resume = resume_of(&log);
    assert!(resume.contains("\"abandoned\":\"seg-00000000000000000000.log\""), "{resume}");
    assert_eq!(log.firsts().len(), 2, "no segment is made while the directory is moved away");
    let names = fs::read_dir(log.directory()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!names.into_iter().any(|name| name.to_string_lossy().starts_with("abandoned-")));
}

fn resume_of(log: &Log) -> String {
    let mut all = lines(&log.directory(), 0, None).unwrap().map(|line| line.unwrap().json);
    all.find(|line| line.contains("\"kind\":\"resume\"")).unwrap()
}

#[test]
fn while_latched_intents_are_refused_at_once_and_outcomes_are_kept() {
    let log = Log::empty(1 << 18);
    runtime().block_on(async {
        let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
        let held = open.record(Multiply(1)).await.unwrap();
        let aside = log.directory().with_extension("moved");
        fs::rename(log.directory(), &aside).unwrap();
        open.record(Multiply(2)).await.unwrap_err();
        let begun = std::time::Instant::now();
        for n in 0..=255 {
            assert!(matches!(
                open.record(Multiply(n)).await.unwrap_err().error,
                AuditError::Unavailable { .. }
            ));
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
        assert!(!open.is_writable());
        // The signature was made already; its outcome must not be lost.
        held.consume().1.record_outcome(Outcome::ok(7));
        fs::rename(&aside, log.directory()).unwrap();
        until_writable(&open).await;
        open.close().unwrap();
    });
    let report = verify(&log.directory()).unwrap();
    assert_eq!((report.is_sound(), report.open_intents), (true, 0), "{report:?}");
}

#[test]
fn waiting_together_means_one_sync_for_all() {
    let log = Log::with_waiters(64);
    let frames = log.frames(0);
    // The start, the intents in a frame or two, the outcomes and the stop; on a busy machine the waiters arrive
    // in a few more groups. One sync for each would be 64 frames and more.
    assert!(frames.len() <= 16, "{} frames for 64 waiters", frames.len());
}

#[test]
fn unauthenticated_clients_cannot_fill_the_disk() {
    use audit_log::{Actor, Event};
    let log = Log::empty(1 << 18);
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    for n in 0..20_000_u32 {
        open.note(Event {
            operation: "scalar_mul",
            actor: Actor::anonymous(Some(([10, 0, (n >> 8) as u8, n as u8], 1).into())),
            request: None,
            key: None,
            input: None,
            code: "unauthenticated",
        });
    }
    let size = open.close().unwrap().size;
    assert!(size < 1_000, "{size} records");
    let mut counted = 0;
    for line in lines(&log.directory(), 0, None).unwrap() {
        let record: serde_json::Value = serde_json::from_str(&line.unwrap().json).unwrap();
        match record["kind"].as_str().unwrap() {
            "event" => counted += 1,
            "aggregate" => counted += record["count"].as_u64().unwrap(),
            _ => {}
        }
    }
    assert_eq!(counted, 20_000, "every refusal is counted");
}

/// A file system of 700 KiB, which three segments of 256 KiB do not fit.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(path: &std::path::Path) -> Option<Self> {
        let mut command = std::process::Command::new("mount");
        command.args(["-t", "tmpfs", "-o", "size=700k", "none"]).arg(path);
        command.status().is_ok_and(|status| status.success()).then(|| Self(path.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_stops_signing_at_once_and_free_space_lets_it_continue() {
    let root = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(root.path()) else {
        Guarantee::FullDisk.skipped("needs root to mount a small file system");
        return;
    };
    let directory = disk.0.join("audit");
    let settings = audit_log::Settings { segment_bytes: 1 << 18, ..audit_log::Settings::new(&directory) };
    AuditLog::create(&settings).unwrap();
    let (log, _) = AuditLog::open(settings, boot()).unwrap();
    let acknowledged = runtime().block_on(async {
        let mut acknowledged = Vec::new();
        let error = loop {
            match one(&log, 1).await {
                Ok(receipt) => acknowledged.push(receipt),
                Err(error) => break error.to_string(),
            }
            assert!(acknowledged.len() < 10_000, "the disk never became full");
        };
        assert!(error.contains("No space left"), "{error}");
        assert!(!log.is_writable());
        // The operator moves the oldest segment to another disk.
        fs::remove_file(directory.join("seg-00000000000000000000.log")).unwrap();
        until_writable(&log).await;
        acknowledged.push(one(&log, 2).await.unwrap());
        acknowledged
    });
    log.close().unwrap();
    let report = verify(&directory).unwrap();
    assert!(report.is_sound(), "{report:?}");
    let gone = report.absent[0].end;
    let found: Vec<_> = lines(&directory, 0, None).unwrap().map(|line| line.unwrap().seq).collect();
    assert!(acknowledged.iter().all(|receipt| receipt.seq < gone || found.contains(&receipt.seq)));
    Guarantee::FullDisk.shown();
}
