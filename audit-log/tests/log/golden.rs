//! A log of the present format is kept and must stay readable, verifiable and writable; one of format 1 is refused.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::kit::{Log, boot};
use audit_log::{AuditLog, OpenError, Settings, lines, verify};

fn golden(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/log-v{version}"))
}

/// `AVS_KMS_BLESS=1` keeps a log of the present format, if there is none yet.
#[test]
fn a_log_of_the_present_format_verifies_reads_and_continues() {
    let kept = golden(2);
    if std::env::var_os("AVS_KMS_BLESS").is_some() && !kept.join("root.txt").exists() {
        let log = Log::empty(1 << 16).filled(12);
        fs::create_dir_all(&kept).unwrap();
        fs::copy(log.segment_path(0), kept.join("seg-00000000000000000000.log")).unwrap();
        fs::write(kept.join("root.txt"), hex::encode(log.head().root) + "\n").unwrap();
    }
    let root = fs::read_to_string(kept.join("root.txt")).unwrap();
    let report = verify(&kept).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(hex::encode(report.head.unwrap().root), root.trim());
    assert_eq!((report.records, report.open_intents), (14, 0));
    for (seq, line) in lines(&kept, 0, None).unwrap().enumerate() {
        let record: serde_json::Value = serde_json::from_str(&line.unwrap().json).unwrap();
        assert_eq!((record["v"].as_u64(), record["seq"].as_u64()), (Some(2), Some(seq as u64)));
    }
    let copy = tempfile::tempdir().unwrap();
    let segment = "seg-00000000000000000000.log";
    fs::copy(kept.join(segment), copy.path().join(segment)).unwrap();
    let settings = Settings { segment_bytes: 1 << 16, ..Settings::new(copy.path()) };
    let head = AuditLog::open(settings, boot()).unwrap().0.close().unwrap();
    assert_eq!(head.size, 16);
}

/// The log was written by avs-kms 0.1.
#[test]
fn a_log_of_format_1_is_refused_with_one_sentence_that_says_who_wrote_it() {
    let kept = golden(1);
    let said = verify(&kept).unwrap_err().to_string();
    let rest = "was written by avs-kms 0.1, in format 1 of the audit log; this version reads format 2 only";
    assert_eq!(said, format!("seg-00000000000000000000.log {rest}"));
    let copy = tempfile::tempdir().unwrap();
    let segment = "seg-00000000000000000000.log";
    fs::copy(kept.join(segment), copy.path().join(segment)).unwrap();
    let settings = Settings { segment_bytes: 1 << 16, ..Settings::new(copy.path()) };
    let refused = AuditLog::open(settings, boot()).unwrap_err();
    assert!(matches!(refused, OpenError::Format { found: 1, .. }), "{refused}");
    let program = std::process::Command::new(env!("CARGO_BIN_EXE_avs-kms-audit-verify"))
        .arg("--log")
        .arg(&kept)
        .output()
        .unwrap();
    assert_eq!(program.status.code(), Some(1));
    assert!(String::from_utf8(program.stderr).unwrap().contains(rest));
}
