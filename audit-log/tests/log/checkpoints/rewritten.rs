//! A log that was rewritten: what vouches for it is compared always, and its absence is a finding.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::kit::{Log, boot, fill};
use crate::support::signer::{ORIGIN, Software, key, publishing};
use audit_log::{AuditLog, CheckpointSigner, PublishError, PublisherSettings, VerifierKey};

/// A log of at least this many segments, with its checkpoints.
fn checkpointed(segments: usize) -> Log {
    let log = Log::empty(1 << 16);
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    open.publish(publishing(1)).unwrap();
    fill(&open, 5);
    while log.firsts().len() < segments {
        fill(&open, 5);
    }
    open.close().unwrap();
    log
}

/// Exit status and words of the stand-alone verifier.
pub fn verifier(log: &Log, more: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_avs-kms-audit-verify"));
    let output = command.arg("--log").arg(log.directory()).args(more).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

fn key_file(log: &Log) -> String {
    let file = log.directory().with_extension("pub");
    fs::write(&file, key(1).to_string()).unwrap();
    file.display().to_string()
}

fn remove(path: &Path) {
    fs::remove_file(path).unwrap();
}

#[test]
fn a_log_whose_checkpoints_were_deleted_is_a_finding_and_a_public_key_has_nothing_to_check() {
    let log = checkpointed(3);
    let public_key = key_file(&log);
    let (status, said) = verifier(&log, &[]);
    assert_eq!(status, 0, "{said}");
    for first in &log.firsts()[..2] {
        remove(&log.segment_path(*first).with_extension("checkpoint"));
        let (status, said) = verifier(&log, &["--public-key", &public_key]);
        assert!(status == 3 && said.contains("missing: the checkpoint of seg-"), "{status}: {said}");
    }
    remove(&log.directory().join("checkpoint"));
    let (status, said) = verifier(&log, &[]);
    assert!(status == 3 && said.contains("missing: the checkpoint beside the log"), "{status}: {said}");
    assert!(said.contains("compared with no checkpoint of any record"), "{said}");
    let (status, said) = verifier(&log, &["--allow-missing"]);
    assert!(status == 0 && said.contains("compared with no checkpoint of any record"), "{status}: {said}");
    for more in
        [&["--public-key", public_key.as_str()][..], &["--public-key", &public_key, "--allow-missing"]]
    {
        let (status, said) = verifier(&log, more);
        assert!(status == 3 && said.contains("nothing vouches for"), "{more:?}: {status}: {said}");
    }
}

#[test]
fn a_checkpoint_of_no_records_vouches_for_no_record() {
    let log = Log::empty(1 << 16);
    let first = AuditLog::sign_first(&log.settings(), &*Software::new(1)).unwrap();
    let public_key = log.directory().with_extension("pub");
    let verifying = VerifierKey::new(first.origin(), Software::new(1).public_key()).unwrap();
    fs::write(&public_key, verifying.to_string()).unwrap();
    let public_key = public_key.to_str().unwrap().to_owned();
    assert_eq!(verifier(&log, &["--public-key", &public_key]).0, 0, "there are no records yet");
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    fill(&open, 5);
    open.close().unwrap();
    let (status, said) = verifier(&log, &["--public-key", &public_key, "--allow-missing"]);
    assert!(status == 3 && said.contains("nothing vouches for"), "{status}: {said}");
    // Commands before the first start sign no checkpoint: that alone is no finding, and the verdict says it.
    let (status, said) = verifier(&log, &[]);
    assert!(status == 0 && said.contains("compared with no checkpoint of any record"), "{status}: {said}");
}

#[test]
fn a_log_that_was_cut_or_changed_does_not_fit_the_checkpoint_beside_it_also_without_a_key() {
    let log = checkpointed(3);
    let last = log.firsts()[2];
    let aside = fs::read(log.segment_path(last)).unwrap();
    remove(&log.segment_path(last));
    let (status, said) = verifier(&log, &["--allow-missing"]);
    assert!(status == 1 && said.contains("damaged"), "the last segment is missing: {status}: {said}");
    fs::write(log.segment_path(last), aside).unwrap();
    let mut frames = log.frames(last);
    frames.pop();
    log.write_frames(last, &frames);
    let (status, said) = verifier(&log, &[]);
    assert!(status == 1 && said.contains("damaged"), "the last frame is missing: {status}: {said}");
    // A new log in the place of the old one, beside the old checkpoint.
    let log = checkpointed(1);
    let other = checkpointed(1);
    fs::copy(other.segment_path(0), log.segment_path(0)).unwrap();
    let (status, said) = verifier(&log, &[]);
    assert!(status == 1 && said.contains("damaged"), "{status}: {said}");
    // What is no checkpoint at all is no absence.
    fs::write(other.directory().join("checkpoint"), "sound").unwrap();
    let (status, said) = verifier(&other, &["--allow-missing"]);
    assert!(status == 1 && said.contains("not a checkpoint"), "{status}: {said}");
}

#[test]
fn a_missing_segment_in_the_middle_is_a_finding() {
    let log = checkpointed(4);
    let middle = log.firsts()[1];
    remove(&log.segment_path(middle));
    remove(&log.segment_path(middle).with_extension("checkpoint"));
    let (status, said) = verifier(&log, &[]);
    assert!(status == 3 && said.contains(&format!("not here: {middle}..")), "{status}: {said}");
    let (status, said) = verifier(&log, &["--allow-missing"]);
    assert!(status == 0 && said.contains("not here"), "{status}: {said}");
}

/// As the service publishes: a log without any checkpoint is refused.
fn strict() -> PublisherSettings {
    PublisherSettings { requires_checkpoint: true, ..publishing(1) }
}

fn refusal(log: &Log, settings: PublisherSettings) -> audit_log::RollbackDetected {
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    let refused = open.publish(settings).unwrap_err();
    open.close().unwrap();
    let PublishError::RolledBack(lost) = refused else { panic!("{refused}") };
    lost
}

#[test]
fn a_log_that_nothing_vouches_for_is_not_signed_until_that_is_accepted_by_name() {
    let log = checkpointed(2);
    fs::read_dir(log.directory())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "checkpoint") || path.ends_with("checkpoint"))
        .for_each(|path| remove(&path));
    let lost = refusal(&log, strict());
    assert!(lost.to_string().contains("nothing vouches for the"), "{lost}");
    assert_eq!(refusal(&log, strict()).known, lost.known, "the value to accept is the same at each start");
    assert!(!log.directory().join("checkpoint").exists(), "it was signed");
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    open.publish(PublisherSettings { accepted: vec![lost.known], ..strict() }).unwrap();
    open.close().unwrap();
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    open.publish(strict()).unwrap();
    open.close().unwrap();
}

#[test]
fn a_new_log_has_its_first_checkpoint_before_its_first_record() {
    let log = Log::empty(1 << 16);
    let first = AuditLog::sign_first(&log.settings(), &*Software::new(1)).unwrap();
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    open.publish(PublisherSettings { origin: Some(first.origin().to_owned()), ..strict() }).unwrap();
    open.close().unwrap();
    // It is for a log without records alone: else it would hide a rewritten one.
    AuditLog::sign_first(&log.settings(), &*Software::new(1)).unwrap_err();
}

#[test]
fn the_checkpoints_of_segments_and_the_copies_are_compared_at_start() {
    let log = checkpointed(3);
    let copy = log.directory().with_extension("copy");
    fs::copy(log.directory().join("checkpoint"), &copy).unwrap();
    // Another log, with its own newest checkpoint, in the place of this one.
    let other = checkpointed(3);
    let seal = |log: &Log| log.segment_path(log.firsts()[0]).with_extension("checkpoint");
    fs::copy(seal(&log), seal(&other)).unwrap();
    let lost = refusal(&other, strict());
    assert!(lost.kept_in.contains("seg-"), "{lost}");
    let other = checkpointed(3);
    let lost = refusal(&other, PublisherSettings { files: vec![copy.clone()], ..strict() });
    assert!(lost.kept_in.contains(&*copy.to_string_lossy()), "{lost}");
    assert!(lost.to_string().contains("rolled back"), "{lost} {ORIGIN}");
}
