//! What an auditor can prove with a checkpoint and a public key, and what the owner of the disk cannot hide.

use std::fs;
use std::time::Duration;

use crate::support::kit::{Log, Multiply, boot, fill, runtime};
use crate::support::signer::{Software, key, publishing};
use audit_log::{
    AuditLog, CheckpointSigner as _, CorruptionKind, InclusionProof, ProofError, PublishError,
    PublisherSettings, SignedCheckpoint, VerifierKey, lines, verify_against,
};

/// Runs the service once more over a log; the last checkpoint.
fn live(log: &Log, count: u8) -> SignedCheckpoint {
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    open.publish(publishing(1)).unwrap();
    fill(&open, count);
    let head = open.close().unwrap();
    let note = fs::read(log.directory().join("checkpoint")).unwrap();
    let checkpoint = key(1).open(&note).unwrap();
    assert_eq!(
        (checkpoint.size(), checkpoint.root()),
        (head.size, head.root),
        "the last one covers the stop record"
    );
    checkpoint
}

/// Runs the service over a log until it has that many segments.
fn live_until(log: &Log, segments: usize) {
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    open.publish(publishing(1)).unwrap();
    while log.firsts().len() < segments {
        fill(&open, 5);
    }
    open.close().unwrap();
}

fn damage(log: &Log, checkpoints: &[&SignedCheckpoint]) -> Option<(u64, CorruptionKind)> {
    let checkpoints: Vec<_> = checkpoints.iter().map(|one| one.known_head()).collect();
    let report = verify_against(&log.directory(), &checkpoints, |_| ()).unwrap();
    report.corruption.map(|fault| (fault.seq, fault.kind))
}

#[test]
fn every_record_is_proven_in_the_checkpoint_and_no_other_record_is() {
    let log = Log::empty(1 << 16);
    live(&log, 60);
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    open.publish(publishing(1)).unwrap();
    let recorded = runtime().block_on(open.record(Multiply(9))).unwrap();
    let receipt = recorded.receipt();
    drop(recorded);
    let begun = std::time::Instant::now();
    while open.checkpoint().unwrap().size() <= receipt.seq {
        assert!(begun.elapsed() < Duration::from_secs(10), "no checkpoint came");
        std::thread::sleep(Duration::from_millis(10));
    }
    let size = open.checkpoint().unwrap().size();
    for line in lines(&log.directory(), 0, None).unwrap().map(Result::unwrap).filter(|line| line.seq < size) {
        let proof = open.prove_inclusion(line.seq).unwrap();
        assert_eq!(proof.record_hash, audit_log::leaf_hash(line.json.as_bytes()));
    }
    // Offline: a text, a public key and the receipt from the client's answer.
    let text = open.prove_inclusion(receipt.seq).unwrap().to_string();
    assert!(text.starts_with(&format!("c2sp.org/tlog-proof@v1\nindex {}\n", receipt.seq)));
    InclusionProof::verify_receipt(&text, &key(1), &receipt).unwrap();
    let mut forged = receipt;
    forged.record_hash[0] ^= 1;
    assert!(matches!(InclusionProof::verify_receipt(&text, &key(1), &forged), Err(ProofError::Wrong)));
    forged = receipt;
    forged.seq -= 1;
    assert!(matches!(
        InclusionProof::verify_receipt(&text, &key(1), &forged),
        Err(ProofError::OtherRecord { .. })
    ));
    assert!(matches!(
        InclusionProof::verify_receipt(&text, &key(2), &receipt),
        Err(ProofError::Checkpoint(_))
    ));
    assert!(matches!(open.prove_inclusion(1 << 40), Err(ProofError::NotYet { .. })));
    (1..size).for_each(|from| drop(open.prove_consistency(from, size).unwrap()));
    assert!(matches!(open.prove_consistency(0, size), Err(ProofError::Order)));
    open.close().unwrap();
}

#[test]
fn what_the_owner_of_the_disk_cannot_hide_from_the_holder_of_a_checkpoint() {
    let log = Log::empty(1 << 18);
    let early = live(&log, 5);
    let before = log.copy();
    let late = live(&log, 5);
    assert_eq!(damage(&log, &[&early, &late]), None);

    // A disk that was rolled back, and one that went on from there: a fork.
    assert_eq!(
        damage(&before, &[&late]),
        Some((early.size(), CorruptionKind::Truncated { expected: late.size() }))
    );
    let (open, _) = AuditLog::open(before.settings(), boot()).unwrap();
    fill(&open, 9);
    open.close().unwrap();
    assert_eq!(damage(&before, &[&early]), None, "it does have the earlier past");
    assert_eq!(damage(&before, &[&early, &late]), Some((late.size() - 1, CorruptionKind::Forked)));

    // The last frames cut off, cleanly.
    let cut = log.copy();
    let mut frames = log.frames(0);
    frames.truncate(frames.len() - 2);
    cut.write_frames(0, &frames);
    assert_eq!(damage(&cut, &[]), None, "without a checkpoint no reader can tell");
    assert!(matches!(damage(&cut, &[&late]), Some((_, CorruptionKind::Truncated { .. }))));

    // A whole new history, signed with another key.
    let other = Log::empty(1 << 18);
    let (open, _) = AuditLog::open(other.settings(), boot()).unwrap();
    open.publish(publishing(2)).unwrap();
    fill(&open, 20);
    open.close().unwrap();
    let forged = fs::read(other.directory().join("checkpoint")).unwrap();
    key(1).open(&forged).unwrap_err();
    assert!(matches!(damage(&other, &[&late]), Some((_, CorruptionKind::Forked))));
}

#[test]
fn the_service_refuses_to_publish_over_a_log_that_was_rolled_back() {
    let log = Log::empty(1 << 18);
    live(&log, 5);
    let before = log.copy();
    let late = live(&log, 5);
    // The checkpoint in the directory was rolled back with it; the one that the token kept was not.
    let (open, _) = AuditLog::open(before.settings(), boot()).unwrap();
    let anchored = || PublisherSettings { anchors: vec![late.note().into()], ..publishing(1) };
    let refused = open.publish(anchored()).unwrap_err();
    assert!(matches!(refused, PublishError::RolledBack { .. }), "{refused}");
    let words = refused.to_string();
    assert!(words.contains(&format!("the token has a checkpoint of {} records", late.size())), "{words}");
    open.close().unwrap();
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    open.publish(anchored()).unwrap();
    open.close().unwrap();
}

#[test]
fn completed_segments_have_a_checkpoint_and_may_be_moved_away() {
    let log = Log::empty(1 << 16);
    live_until(&log, 4);
    let firsts = log.firsts();
    let mut checkpoints = Vec::new();
    for pair in firsts.windows(2) {
        let seal = log.segment_path(pair[0]).with_extension("checkpoint");
        let seal = key(1).open(&fs::read(seal).unwrap()).unwrap();
        assert_eq!(seal.size(), pair[1], "a seal covers its segment to the end");
        checkpoints.push(seal.known_head());
    }
    let newest = key(1).open(&fs::read(log.directory().join("checkpoint")).unwrap()).unwrap();
    checkpoints.push(newest.known_head());
    let all = checkpoints.len() as u64;
    let report = verify_against(&log.directory(), &checkpoints, |_| ()).unwrap();
    assert_eq!((report.is_sound(), report.checkpoints), (true, all), "{report:?}");

    // A seal that a crash, or a token that was away, kept from being made is made later, and is the same.
    let lost = log.segment_path(firsts[1]).with_extension("checkpoint");
    let before = fs::read(&lost).unwrap();
    fs::remove_file(&lost).unwrap();
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    open.publish(publishing(1)).unwrap();
    open.close().unwrap();
    assert_eq!(fs::read(&lost).unwrap(), before);

    fs::remove_file(log.segment_path(firsts[0])).unwrap();
    fs::remove_file(log.segment_path(firsts[1])).unwrap();
    let report = verify_against(&log.directory(), &checkpoints, |_| ()).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.absent, vec![0..firsts[2]]);
    assert_eq!((report.checkpoints, report.unchecked_checkpoints), (all - 1, 1));
    // The proofs of what was moved away are still there, because they were indexed before.
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    open.publish(publishing(1)).unwrap();
    open.prove_inclusion(0).unwrap();
    open.close().unwrap();
    // Without the index they are gone, and the log still works.
    fs::remove_file(log.directory().join("hashes")).unwrap();
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    open.publish(publishing(1)).unwrap();
    assert!(matches!(open.prove_inclusion(0), Err(ProofError::Off)));
    open.close().unwrap();
}

#[test]
fn a_damaged_index_gives_no_wrong_proof_and_is_rebuilt() {
    let log = Log::empty(1 << 18);
    live(&log, 20);
    let path = log.directory().join("hashes");
    let mut bytes = fs::read(&path).unwrap();
    bytes.fill(7);
    fs::write(&path, bytes).unwrap();
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    open.publish(publishing(1)).unwrap();
    open.prove_inclusion(3).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[..64].fill(9);
    fs::write(&path, bytes).unwrap();
    assert!(matches!(open.prove_inclusion(1), Err(ProofError::Wrong)));
    until_proven(&open, 1);
    open.close().unwrap();
}

fn until_proven(open: &AuditLog, seq: u64) {
    let begun = std::time::Instant::now();
    while let Err(error) = open.prove_inclusion(seq) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{error}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_hole_that_a_power_cut_left_in_the_hashes_is_filled() {
    let log = Log::with_segments(6);
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    open.publish(publishing(1)).unwrap();
    open.close().unwrap();
    let path = log.directory().join("hashes");
    let mut bytes = fs::read(&path).unwrap();
    // The leaves of records 2 and 3 come third and fourth. They are below a stored node of the eighth level, so the
    // root before the last segment is as it was.
    bytes[2 * 32..4 * 32].fill(0);
    fs::write(&path, bytes).unwrap();
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    open.publish(publishing(1)).unwrap();
    assert!(matches!(open.prove_inclusion(3), Err(ProofError::Wrong)));
    until_proven(&open, 3);
    open.close().unwrap();
}

#[test]
fn a_receipt_of_another_log_is_refused_although_its_record_is_proven() {
    let log = Log::empty(1 << 16);
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    open.publish(PublisherSettings { origin: None, ..publishing(1) }).unwrap();
    let mut receipt = runtime().block_on(open.record(Multiply(1))).unwrap().receipt();
    until_proven(&open, receipt.seq);
    let text = open.prove_inclusion(receipt.seq).unwrap().to_string();
    let key = VerifierKey::new(&receipt.log.origin(), Software::new(1).public_key()).unwrap();
    InclusionProof::verify_receipt(&text, &key, &receipt).unwrap();
    receipt.log = "ab".repeat(16).parse().unwrap();
    let refused = InclusionProof::verify_receipt(&text, &key, &receipt);
    assert!(matches!(refused, Err(ProofError::OtherLog { .. })), "{refused:?}");
    open.close().unwrap();
}

/// Exit status and words of the stand-alone verifier, with a file for each key and checkpoint.
fn verifier(log: &Log, keys: &[u8], checkpoint: Option<&SignedCheckpoint>) -> (i32, String) {
    let files = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_avs-kms-audit-verify"));
    command.arg("--log").arg(log.directory());
    for &seed in keys {
        let file = files.path().join(format!("key-{seed}"));
        fs::write(&file, key(seed).to_string()).unwrap();
        command.arg("--public-key").arg(file);
    }
    if let Some(checkpoint) = checkpoint {
        let file = files.path().join("checkpoint");
        fs::write(&file, checkpoint.note()).unwrap();
        command.arg("--checkpoint").arg(file);
    }
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(said).unwrap())
}

/// What it says of a log that is sound and complete, or why it is not.
fn verified(log: &Log, keys: &[u8], checkpoint: Option<&SignedCheckpoint>) -> Result<String, String> {
    match verifier(log, keys, checkpoint) {
        (0, said) => Ok(said),
        (_, said) => Err(said),
    }
}

#[test]
fn with_a_public_key_the_checkpoints_beside_the_log_must_be_signed_by_it() {
    let log = Log::empty(1 << 16);
    live_until(&log, 3);
    let said = verified(&log, &[], None).unwrap();
    assert!(said.contains("heads of 3 checkpoint(s), signatures NOT checked"), "{said}");
    let said = verified(&log, &[1], None).unwrap();
    assert!(
        said.contains("heads of 3 checkpoint(s), signatures checked") && said.contains("2 of segments"),
        "two of segments and the newest: {said}"
    );
    verified(&log, &[2, 1], None).unwrap();
    let refused = verified(&log, &[2], None).unwrap_err();
    assert!(refused.contains("not signed by the key"), "{refused}");
    let seal = log.segment_path(log.firsts()[1]).with_extension("checkpoint");
    let mut text = fs::read(&seal).unwrap();
    // The last digit of the size: another one.
    let size_ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(1).unwrap().0;
    text[size_ends - 1] ^= 1;
    fs::write(&seal, text).unwrap();
    let refused = verified(&log, &[1], None).unwrap_err();
    assert!(refused.contains(&*seal.to_string_lossy()), "{refused}");
}

#[test]
fn a_checkpoint_that_cannot_be_compared_is_no_good_news() {
    let log = Log::empty(1 << 16);
    let early = live(&log, 3);
    live_until(&log, 3);
    assert!(verified(&log, &[1], Some(&early)).unwrap().contains("contains the heads of"));
    fs::remove_file(log.segment_path(0)).unwrap();
    let (status, said) = verifier(&log, &[1], None);
    assert!(status == 3 && said.contains("not here: 0.."), "{status}: {said}");
    let (status, refused) = verifier(&log, &[1], Some(&early));
    assert!(status == 3 && refused.contains("cannot be compared"), "{status}: {refused}");
}

#[test]
fn a_tail_that_was_cut_back_to_the_newest_checkpoint_is_seen_with_a_receipt() {
    let log = Log::empty(1 << 18);
    live(&log, 5);
    let cut = log.copy();
    fs::copy(log.directory().join("checkpoint"), cut.directory().join("checkpoint")).unwrap();
    let (open, _) = AuditLog::open(log.settings(), boot()).unwrap();
    let receipt = runtime().block_on(open.record(Multiply(1))).unwrap().receipt();
    open.close().unwrap();
    // The files, their checkpoint and its key are content with the older state, and the service continues from it.
    verified(&cut, &[1], None).unwrap();
    let (open, _) = AuditLog::open(cut.settings(), boot()).unwrap();
    open.publish(publishing(1)).unwrap();
    assert!(matches!(open.prove_inclusion(receipt.seq), Err(ProofError::NotYet { .. })));
    fill(&open, 9);
    until_proven(&open, receipt.seq);
    let text = open.prove_inclusion(receipt.seq).unwrap().to_string();
    assert!(matches!(InclusionProof::verify_receipt(&text, &key(1), &receipt), Err(ProofError::Wrong)));
    open.close().unwrap();
}
