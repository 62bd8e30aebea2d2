//! Backup into one archive, and restore from it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use avs_kms::eigenlayer;
use serde_json::{Value, json};

use crate::support::{EOA, Installation, Running, point, text};

fn signature(service: &Running, token: &str, name: &str) -> Value {
    let hash = point(&eigenlayer::hash_to_g1(&[7; 32]));
    let body = json!({"eoa": EOA, "name": name, "hash": hash});
    let answer = service.post("/v1/scalar_mul", Some(token), &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["signature"].clone()
}

/// An installation with nothing but what the archive holds, and the PIN file.
fn restored(from: &Installation, archive: &Path) -> Installation {
    let other = Installation::empty();
    other.must(&["restore", "--yes", archive.to_str().unwrap()]);
    std::fs::copy(from.data().join("pin"), other.data().join("pin")).unwrap();
    other
}

fn archive(installation: &Installation) -> PathBuf {
    let path = installation.data().parent().unwrap().join("kms.tar.zst");
    installation.must(&["backup", path.to_str().unwrap()]);
    path
}

#[test]
fn a_backup_taken_while_keys_are_made_and_used_brings_back_every_key_that_it_lists() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    service.create(&token, EOA, "before");
    let expected = signature(&service, &token, "before");
    let path = std::thread::scope(|scope| {
        let busy = scope.spawn(|| {
            for n in 0..6 {
                service.create(&token, EOA, &format!("k{n}"));
                signature(&service, &token, "before");
            }
        });
        let path = archive(&installation);
        busy.join().unwrap();
        path
    });
    service.kill();

    let other = restored(&installation, &path);
    let verified = other.must(&["audit", "verify"]);
    assert!(verified.contains("sound"), "{verified}");
    let service = other.serve();
    assert!(!service.start.contains("ERROR"), "{}", service.start);
    let listed = service.get(&format!("/v1/keys/{EOA}"), Some(&token)).body;
    let names: BTreeSet<_> = listed["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["name"].as_str().unwrap().to_owned())
        .collect();
    assert!(names.contains("before"), "{names:?}");
    for name in &names {
        signature(&service, &token, name);
    }
    assert_eq!(signature(&service, &token, "before"), expected);
    // It works as before: a new key, a log without corruption.
    service.create(&token, EOA, "after");
    assert_eq!(service.stop(), Some(0));
    other.must(&["audit", "verify"]);
}

#[test]
fn neither_the_pin_nor_anything_but_ciphertext_is_in_the_archive() {
    let installation = Installation::new();
    let path = archive(&installation);
    let pin = std::fs::read(installation.data().join("pin")).unwrap();
    let pin = pin.trim_ascii();
    assert!(pin.len() > 16);
    let plain = zstd::decode_all(std::fs::File::open(&path).unwrap()).unwrap();
    assert!(plain.windows(8).any(|part| part == b"SQLite f"), "the archive was not understood");
    assert!(!plain.windows(pin.len()).any(|part| part == pin));
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn nothing_is_restored_over_anything_and_no_backup_over_a_file() {
    let installation = Installation::new();
    let path = archive(&installation);
    for arguments in [&["restore", "--yes", path.to_str().unwrap()][..], &["backup", path.to_str().unwrap()]]
    {
        let output = installation.run(arguments);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("exists; nothing is restored"), "{}", text(&output.stderr));
    }
    assert_eq!(installation.serve().stop(), Some(0));
}

#[test]
fn a_damaged_or_cut_archive_is_refused_and_leaves_nothing() {
    let installation = Installation::new();
    let path = archive(&installation);
    let mut plain = zstd::decode_all(std::fs::File::open(&path).unwrap()).unwrap();
    let at = plain.windows(8).position(|part| part == b"SQLite f").unwrap() + 200;
    plain[at] ^= 1;
    let whole = std::fs::read(&path).unwrap();
    for (what, bytes) in [
        ("a changed byte", zstd::encode_all(plain.as_slice(), 1).unwrap()),
        ("a cut archive", whole[..whole.len() / 2].to_vec()),
        ("no archive", b"hello".to_vec()),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let other = Installation::empty();
        let output = other.run(&["restore", "--yes", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{what}: {}", text(&output.stdout));
        let left: Vec<_> = std::fs::read_dir(other.data().parent().unwrap()).unwrap().collect();
        assert!(left.is_empty(), "{what} left {left:?}");
    }
}

#[test]
fn an_archive_cannot_write_outside_of_the_data_directory() {
    let installation = Installation::empty();
    let place = installation.data().parent().unwrap().to_owned();
    let path = place.join("evil.tar.zst");
    let mut tar = tar::Builder::new(zstd::Encoder::new(std::fs::File::create(&path).unwrap(), 1).unwrap());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o644);
    // The crate refuses to write such a name; an attacker does not use the crate.
    header.as_gnu_mut().unwrap().name[..17].copy_from_slice(b"audit/../../out.x");
    header.set_cksum();
    tar.append(&header, b"evil".as_slice()).unwrap();
    tar.into_inner().unwrap().finish().unwrap();
    let output = installation.run(&["restore", "--yes", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("unexpected entry"), "{}", text(&output.stderr));
    assert!(!place.join("out.x").exists() && !place.parent().unwrap().join("out.x").exists());
}

#[test]
fn what_the_command_line_does_to_the_files_is_in_the_audit_log_with_and_without_a_service() {
    let installation = Installation::new();
    let path = archive(&installation);
    let token = installation.token(EOA);
    let service = installation.serve();
    service.create(&token, EOA, "before");
    installation.must(&["backup", path.with_extension("again").to_str().unwrap()]);
    let segments = || {
        let names =
            installation.data().join("audit").read_dir().unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().ends_with(".log")).count()
    };
    // The newest completed one may hold an intent whose outcome is in the next.
    let mut signatures = 0;
    while segments() < 3 {
        signature(&service, &token, "before");
        signatures += 1;
        assert!(signatures < 20_000, "segments do not fill");
    }
    installation.must(&["audit", "compress", "--keep", "1"]);
    service.stop();
    let count = |record: &Value| record["input"]["fields"]["count"].as_u64();
    let backups = installation.records_of("backup");
    assert_eq!(backups.len(), 2, "{backups:?}");
    assert_eq!(backups[0]["input"]["fields"]["path"], path.to_str().unwrap());
    assert_eq!(backups[0]["actor"]["kind"], "local");
    assert_eq!((count(&backups[0]), count(&backups[1])), (Some(0), Some(1)));
    assert_eq!(count(&installation.records_of("audit.compress")[0]), Some(1));

    let other = restored(&installation, &path);
    assert_eq!(other.records_of("restore").len(), 1);
    // Only the local socket can write such a record.
    let service = other.serve();
    let body = json!({"work": "backup", "path": "x", "count": 1});
    assert_eq!(service.post("/local/maintenance", Some(&token), &body).status, 404);
}
