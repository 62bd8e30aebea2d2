//! Whom a restore believes, and where it can put what it restores.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{EOA, Installation, process, text};

/// A signed archive of an installation with a key, and a file with the key that signed it.
fn signed(installation: &Installation) -> (PathBuf, PathBuf) {
    installation.must(&["keys", "create", "--eoa", EOA]);
    let (archive, key) = (beside(installation, "kms.tar.zst"), beside(installation, "log.pub"));
    let said: Value =
        serde_json::from_str(&installation.must(&["--json", "backup", archive.to_str().unwrap()])).unwrap();
    std::fs::write(&key, said["signed_by"].as_str().unwrap()).unwrap();
    (archive, key)
}

fn beside(installation: &Installation, name: &str) -> PathBuf {
    installation.data().with_file_name(name)
}

fn restore(into: &Installation, archive: &Path, more: &[&str]) -> Output {
    into.run(&[&["restore", archive.to_str().unwrap()], more].concat())
}

/// The entries of an archive.
fn entries(archive: &Path) -> Vec<(String, Vec<u8>)> {
    let mut tar = tar::Archive::new(zstd::Decoder::new(File::open(archive).unwrap()).unwrap());
    let read = |entry: std::io::Result<tar::Entry<'_, _>>| {
        let mut entry = entry.unwrap();
        let (name, mut content) = (entry.path().unwrap().to_str().unwrap().to_owned(), Vec::new());
        Read::read_to_end(&mut entry, &mut content).unwrap();
        (name, content)
    };
    tar.entries().unwrap().map(read).collect()
}

fn write(archive: &Path, entries: &[(String, Vec<u8>)]) {
    let mut tar = tar::Builder::new(zstd::Encoder::new(File::create(archive).unwrap(), 1).unwrap());
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        tar.append_data(&mut header, name, content.as_slice()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
}

/// Another store in the archive, and a manifest that fits.
fn forge(entries: &mut [(String, Vec<u8>)]) {
    let find =
        |entries: &[(String, Vec<u8>)], name| entries.iter().position(|entry| entry.0 == name).unwrap();
    let (store, manifest) = (find(entries, "store.sqlite"), find(entries, "manifest.json"));
    entries[store].1.extend_from_slice(&[0; 4096]);
    let mut listed: Value = serde_json::from_slice(&entries[manifest].1).unwrap();
    let bytes = &entries[store].1;
    listed["files"][0]["bytes"] = bytes.len().into();
    listed["files"][0]["sha256"] = hex::encode(Sha256::digest(bytes)).into();
    assert_eq!(listed["files"][0]["path"], "store.sqlite");
    entries[manifest].1 = serde_json::to_vec(&listed).unwrap();
}

#[test]
fn a_backup_is_signed_by_the_key_of_the_log_with_and_without_a_service() {
    let installation = Installation::new();
    let (archive, key) = signed(&installation);
    let service = installation.serve();
    let running = beside(&installation, "running.tar.zst");
    installation.must(&["backup", running.to_str().unwrap()]);
    let checkpoint = service.get("/v1/audit/checkpoint", Some(&installation.token(EOA))).body;
    service.stop();
    assert_eq!(checkpoint["public_key"], std::fs::read_to_string(&key).unwrap());
    for archive in [&archive, &running] {
        let other = Installation::empty();
        let output = restore(&other, archive, &["--public-key", key.to_str().unwrap()]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let signed = installation.records_of("backup.sign");
    assert_eq!(signed.len(), 2);
    let manifest = entries(&archive).into_iter().find(|entry| entry.0 == "manifest.json").unwrap().1;
    let hash = format!("0x{}", hex::encode(Sha256::digest(manifest)));
    assert_eq!(signed[0]["input"]["fields"]["manifest"], hash);
}

#[test]
fn a_forged_archive_is_refused_whatever_is_beside_its_manifest() {
    let (installation, another) = (Installation::new(), Installation::new());
    let (archive, key) = signed(&installation);
    let (of_another, its_key) = signed(&another);
    let signature =
        |archive: &Path| entries(archive).into_iter().find(|entry| entry.0 == "manifest.sig").unwrap();
    let forged = beside(&installation, "forged.tar.zst");
    let public = ["--public-key", key.to_str().unwrap()];

    let mut made = entries(&archive);
    forge(&mut made);
    let old = made.pop().unwrap();
    assert_eq!(old.0, "manifest.sig");
    write(&forged, &made);
    let output = restore(&Installation::empty(), &forged, &public);
    assert!(text(&output.stderr).contains("the archive is not signed"), "{}", text(&output.stderr));
    for signature in [old, signature(&of_another), ("manifest.sig".to_owned(), b"x\ny".to_vec())] {
        made.push(signature);
        write(&forged, &made);
        for more in [&public[..], &["--yes"]] {
            let into = Installation::empty();
            let output = restore(&into, &forged, more);
            assert_eq!(output.status.code(), Some(1));
            assert!(text(&output.stderr).contains("not one of this manifest"), "{}", text(&output.stderr));
            assert!(!into.data().exists());
        }
        made.pop();
    }
    // A whole archive of another installation.
    let output = restore(&Installation::empty(), &of_another, &public);
    assert!(text(&output.stderr).contains("another key"), "{}", text(&output.stderr));
    let output = restore(&Installation::empty(), &archive, &["--public-key", its_key.to_str().unwrap()]);
    assert!(text(&output.stderr).contains("another key"), "{}", text(&output.stderr));
    let both = [&public[..], &["--public-key", its_key.to_str().unwrap()]].concat();
    assert!(restore(&Installation::empty(), &archive, &both).status.success());
}

#[test]
fn without_a_public_key_the_signer_is_shown_and_an_operator_must_agree() {
    let installation = Installation::new();
    let (archive, key) = signed(&installation);
    let into = Installation::empty();
    let output = restore(&into, &archive, &[]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&std::fs::read_to_string(key).unwrap()) && said.contains("--yes"), "{said}");
    assert!(!into.data().exists());
    assert!(restore(&into, &archive, &["--yes"]).status.success());
}

#[test]
fn a_backup_without_the_token_says_that_it_is_not_signed_and_is_not_believed() {
    let installation = Installation::new();
    let (_, key) = signed(&installation);
    let pin = installation.data().join("pin");
    std::fs::rename(&pin, pin.with_extension("away")).unwrap();
    let archive = beside(&installation, "away.tar.zst");
    let output = installation.run(&["backup", archive.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("the archive is not signed"), "{}", text(&output.stderr));
    let output = restore(&Installation::empty(), &archive, &["--public-key", key.to_str().unwrap()]);
    assert!(text(&output.stderr).contains("the archive is not signed"), "{}", text(&output.stderr));
    assert!(restore(&Installation::empty(), &archive, &["--yes"]).status.success());
}

#[test]
fn the_log_can_be_on_another_file_system_and_an_empty_directory_can_be_there() {
    let installation = Installation::new();
    let (archive, _) = signed(&installation);
    let into = Installation::empty();
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    let device = |path: &Path| std::fs::metadata(path).unwrap().dev();
    assert_ne!(device(elsewhere.path()), device(into.data().parent().unwrap()), "one file system");
    let audit = elsewhere.path().join("log");
    let run = |arguments: &[&str], audit: &Path| {
        let mut command: Command = into.command(arguments);
        process::output(command.env("AVS_KMS__AUDIT__DIRECTORY", audit))
    };
    // Not empty: it may be in use.
    let full = elsewhere.path().join("full");
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("a"), "a").unwrap();
    let arguments = ["restore", "--yes", archive.to_str().unwrap()];
    assert!(text(&run(&arguments, &full).stderr).contains("exists; nothing is restored"));
    assert!(!into.data().exists() && full.join("a").exists());

    let output = run(&arguments, &audit);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(run(&["audit", "verify"], &audit).status.success());
    let names: Vec<_> =
        elsewhere.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn what_is_not_of_the_interrupted_restore_is_not_removed() {
    let installation = Installation::new();
    let (archive, _) = signed(&installation);
    let into = Installation::empty();
    let data = into.data();
    std::fs::create_dir(&data).unwrap();
    let place = |path: &Path| serde_json::json!({"path": path, "was_directory": false});
    let elsewhere = beside(&into, "elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let journal =
        serde_json::json!([place(&elsewhere), place(&data.join("audit")), place(&data.join("store.sqlite"))]);
    std::fs::write(data.join("restore.json"), journal.to_string()).unwrap();
    let output = restore(&into, &archive, &["--yes"]);
    assert!(text(&output.stderr).contains("interrupted restore to other paths"), "{}", text(&output.stderr));
    assert!(elsewhere.exists());
    let output = into.run(&["serve"]);
    assert!(text(&output.stderr).contains("was interrupted; repeat it"), "{}", text(&output.stderr));

    // A restore that was complete, and a store that is lost later.
    std::fs::remove_dir_all(&data).unwrap();
    assert!(restore(&into, &archive, &["--yes"]).status.success());
    std::fs::copy(installation.data().join("pin"), data.join("pin")).unwrap();
    let journal = ["token", "audit", "store.sqlite"].map(|name| place(&data.join(name)));
    std::fs::write(data.join("restore.json"), serde_json::json!(journal).to_string()).unwrap();
    into.must(&["keys", "list", "--eoa", EOA]);
    std::fs::remove_file(data.join("store.sqlite")).unwrap();
    let output = restore(&into, &archive, &["--yes"]);
    assert!(text(&output.stderr).contains("exists; nothing is restored"), "{}", text(&output.stderr));
    assert!(data.join("audit").exists());
}
