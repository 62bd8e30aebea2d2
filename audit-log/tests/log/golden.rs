//! A log of each format version is kept and must stay readable, verifiable and writable for ever.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::kit::{Log, boot};
use audit_log::{AuditLog, Settings, lines, verify};

fn golden(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/log-v{version}"))
}

/// `AVS_KMS_BLESS=1` keeps a log of the present format, if there is none yet.
#[test]
fn logs_of_every_format_version_verify_read_and_go_on() {
    let kept = golden(1);
    if std::env::var_os("AVS_KMS_BLESS").is_some() && !kept.exists() {
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
        assert_eq!((record["v"].as_u64(), record["seq"].as_u64()), (Some(1), Some(seq as u64)));
    }
    let copy = tempfile::tempdir().unwrap();
    let segment = "seg-00000000000000000000.log";
    fs::copy(kept.join(segment), copy.path().join(segment)).unwrap();
    let settings = Settings { segment_bytes: 1 << 16, ..Settings::new(copy.path()) };
    let head = AuditLog::open(settings, boot()).unwrap().0.close().unwrap();
    assert_eq!(head.size, 16);
}
