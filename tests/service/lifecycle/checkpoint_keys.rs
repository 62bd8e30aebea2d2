//! Everything that reads or uses the checkpoint key, with a key of each kind: checkpoints, proofs, verification elsewhere,
//! the signature of a backup, `doctor`.

use std::fs;

use serde_json::{Value, json};

use crate::support::{EOA, Installation, process, text, until};

/// An installation whose token has, at `init`, what these rules leave of it.
fn installation(rules: &str, expected: &str) -> Installation {
    let installation = Installation::empty();
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("rules"), rules).unwrap();
    let mut command = installation.command(&["--json", "init"]);
    command
        .env("AVS_KMS__PKCS11__MODULE", test_report::fault_injection_module(place.path()))
        .env("AVS_KMS__PKCS11__SOFTHSM_CONF", installation.data().join("token/softhsm2.conf"))
        .env("HSM_FAULTS_RULES", place.path().join("rules"));
    let output = process::output(&mut command);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["checkpoint_key"], expected);
    installation
}

fn walk(rules: &str, expected: &str, type_of_key: &str) {
    let installation = installation(rules, expected);
    let token = installation.token(EOA);
    let service = installation.serve();
    service.create(&token, EOA, "default");
    let body = json!({"eoa": EOA, "digest": "07".repeat(32)});
    let signed = service.post("/v1/sign/digest", Some(&token), &body).body;
    let seq = signed["audit"]["seq"].as_u64().unwrap();
    let mut checkpoint = Value::Null;
    until("a checkpoint covers the signature", || {
        checkpoint = service.get("/v1/audit/checkpoint", None).body;
        checkpoint["size"].as_u64().is_some_and(|size| size > seq)
    });
    let proof = service.get(&format!("/v1/audit/proof?seq={seq}"), None).body;
    assert_eq!(service.stop(), Some(0));

    let file = |name: &str, content: &str| {
        let path = installation.data().with_file_name(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let line = checkpoint["public_key"].as_str().unwrap();
    // Base64 has a plus sign too.
    assert!(line.splitn(3, '+').nth(2).unwrap().starts_with(type_of_key), "{line}");
    let key = file("log.pub", line);
    let kept = file("checkpoint.json", &checkpoint.to_string());
    let verified = installation.must(&["audit", "verify", "--public-key", &key, "--checkpoint", &kept]);
    assert!(verified.contains("sound"), "{verified}");
    let (answer, proof) = (file("answer", &signed.to_string()), file("proof", &proof.to_string()));
    let receipt = ["audit", "verify-receipt", "--answer", &answer, "--proof", &proof, "--public-key", &key];
    installation.must(&receipt);

    let archive = installation.data().with_file_name("kms.tar.zst");
    let archive = archive.to_str().unwrap();
    let said: Value = serde_json::from_str(&installation.must(&["--json", "backup", archive])).unwrap();
    assert_eq!(said["signed_by"], line);
    let other = Installation::empty();
    other.must(&["restore", archive, "--public-key", &key]);
    fs::copy(installation.data().join("pin"), other.data().join("pin")).unwrap();
    let again = other.serve();
    assert_eq!(again.get("/v1/audit/checkpoint", None).body["public_key"], line);
    assert_eq!(again.stop(), Some(0));

    let doctor = installation.run(&["doctor"]);
    let found = text(&doctor.stdout);
    assert!(matches!(doctor.status.code(), Some(0 | 3)), "{found}");
    assert!(found.contains(&format!("the checkpoint key signs: {expected}")), "{found}");

    // Its key is another: the same checkpoints are of no use to it.
    let other_log = Installation::new();
    let service = other_log.serve();
    let others = service.get("/v1/audit/checkpoint", None).body;
    assert_eq!(service.stop(), Some(0));
    let name = line.split('+').next().unwrap();
    assert_ne!(others["origin"], name);
    let wrong = file("wrong.pub", others["public_key"].as_str().unwrap());
    let refused = installation.run(&["audit", "verify", "--public-key", &wrong]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stdout));
}

#[test]
fn a_log_whose_checkpoints_are_signed_by_ed25519_verifies() {
    walk("", "Ed25519 in the token", "A");
}

#[test]
fn a_log_whose_checkpoints_are_signed_by_p256_verifies() {
    walk("C_GenerateKeyPair rv=0x70 times=1", "ECDSA P-256 in the token", "Aj");
}

#[test]
fn a_log_whose_checkpoints_are_signed_by_rsa_verifies() {
    walk("no_ec slow", "RSA-PSS with 3072 bits in the token", "/1");
}

#[test]
fn a_log_whose_checkpoints_are_signed_by_a_key_in_software_verifies() {
    walk("no_key_pairs slow", "Ed25519 in software, sealed by the token", "A");
}
