//! A log whose checkpoint key was changed: every reader who knows one of the keys follows, and the old key ends there.

use std::fs;
use std::path::PathBuf;

use crate::checkpoints::rewritten::verifier;
use crate::support::kit::{Log, boot, fill};
use crate::support::signer::{Software, publishing};
use audit_log::{
    AuditLog, CheckpointSigner as _, Head, KeyChange, PublishError, PublisherSettings, SignedCheckpoint,
    VerifierKey, snapshot,
};

fn publishing_by(seed: u8) -> PublisherSettings {
    PublisherSettings { origin: None, requires_checkpoint: true, ..publishing(seed) }
}

/// Publishes with this key while at least this many further segments are written.
fn publish(log: &Log, seed: u8, segments: usize) {
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    open.publish(publishing_by(seed)).unwrap();
    let enough = log.firsts().len() + segments;
    fill(&open, 5);
    while log.firsts().len() < enough {
        fill(&open, 5);
    }
    open.close().unwrap();
}

/// Changes the key as `rewrap` does: the old key signs the records so far, then both sign the change.
fn change(log: &Log, old: u8, new: u8) -> Head {
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    fill(&open, 1);
    let (old, new) = (Software::new(old), Software::new(new));
    let checkpoint = open.sign_now(&*old).unwrap();
    let change = KeyChange::sign(checkpoint.origin(), checkpoint.size(), &*old, &*new).unwrap();
    open.change_key(&change).unwrap();
    assert!(open.is_replaced(&verifying(log, 1)).unwrap());
    let head = open.head();
    open.close().unwrap();
    head
}

fn verifying(log: &Log, seed: u8) -> VerifierKey {
    let note = fs::read_to_string(log.directory().join("checkpoint")).unwrap();
    VerifierKey::new(note.lines().next().unwrap(), Software::new(seed).public_key()).unwrap()
}

fn key_file(log: &Log, seed: u8) -> String {
    let file: PathBuf = log.directory().with_extension(format!("{seed}.pub"));
    fs::write(&file, verifying(log, seed).to_string()).unwrap();
    file.display().to_string()
}

fn refused(log: &Log, seed: u8) -> PublishError {
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    let error = open.publish(publishing_by(seed)).unwrap_err();
    open.close().unwrap();
    error
}

/// A log of three keys, with completed segments of each.
fn moved_twice() -> (Log, Head) {
    let log = Log::empty(1 << 16);
    AuditLog::sign_first(&log.settings(), &*Software::new(1)).unwrap();
    publish(&log, 1, 2);
    let first = change(&log, 1, 2);
    publish(&log, 2, 2);
    change(&log, 2, 3);
    publish(&log, 3, 1);
    (log, first)
}

#[test]
fn an_auditor_with_any_of_the_keys_follows_the_changes_and_one_with_another_key_does_not() {
    let (log, _) = moved_twice();
    for seed in [1, 2, 3] {
        let (status, said) = verifier(&log, &["--public-key", &key_file(&log, seed)]);
        assert_eq!(status, 0, "key {seed}: {said}");
    }
    let (status, said) = verifier(&log, &["--public-key", &key_file(&log, 4)]);
    assert!(status == 1 && said.contains("is not signed by the key"), "{status}: {said}");
    let copied: Vec<_> =
        snapshot(&log.directory()).unwrap().files.into_iter().map(|file| file.name).collect();
    assert!(copied.contains(&"key-changes".to_owned()), "{copied:?}");
}

#[test]
fn the_old_key_publishes_nothing_more_and_its_later_checkpoints_are_refused() {
    let (log, first) = moved_twice();
    for old in [1, 2] {
        let error = refused(&log, old);
        assert!(matches!(error, PublishError::KeyReplaced { .. }), "{error}");
    }
    // A thief of the old token signs an older head: it must not pass as the newest.
    let forged = SignedCheckpoint::sign(
        &first.log.origin(),
        &Head { size: first.size + 1, root: [7; 32], ..first },
        &*Software::new(1),
    );
    let beside = log.directory().join("checkpoint");
    let genuine = fs::read(&beside).unwrap();
    fs::write(&beside, forged.unwrap().note()).unwrap();
    let error = refused(&log, 3);
    assert!(error.to_string().contains("did not sign"), "{error}");
    let (status, said) = verifier(&log, &["--public-key", &key_file(&log, 3)]);
    assert!(status == 1 && said.contains("was replaced at"), "{status}: {said}");
    fs::write(&beside, genuine).unwrap();
    publish(&log, 3, 0);
}

#[test]
fn without_its_file_of_changes_a_log_is_refused() {
    let (log, _) = moved_twice();
    let file = log.directory().join("key-changes");
    let text = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let error = refused(&log, 3);
    assert!(error.to_string().contains("did not sign"), "{error}");
    // The last change alone does not reach the first key.
    fs::write(&file, text.lines().last().unwrap()).unwrap();
    refused(&log, 3);
    fs::write(&file, &text).unwrap();
    publish(&log, 3, 0);
    // A new token whose change was not written yet is no successor.
    assert!(matches!(refused(&log, 5), PublishError::RolledBack(_)));
}

#[test]
fn a_death_between_the_last_checkpoint_and_the_change_leaves_the_old_key_in_charge() {
    let log = Log::empty(1 << 16);
    AuditLog::sign_first(&log.settings(), &*Software::new(1)).unwrap();
    publish(&log, 1, 1);
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    fill(&open, 1);
    open.sign_now(&*Software::new(1)).unwrap();
    open.close().unwrap();
    publish(&log, 1, 0);
    change(&log, 1, 2);
    publish(&log, 2, 0);
}
