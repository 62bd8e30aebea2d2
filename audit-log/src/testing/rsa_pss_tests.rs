//! Checkpoints that openssl signed by RSA-PSS: the one form is taken, every other form, key and text is refused.

use serde_json::Value;

use crate::checkpoint::key::{PublicKey, VerifierKey};
use crate::checkpoint::statement::StatementKind;

/// Made by openssl 3.0 (`dgst -sha256 -sigopt rsa_padding_mode:pss …`): a key, notes of its signatures, other keys.
const BY_OPENSSL: &str = include_str!("../../tests/golden/rsa-pss-by-openssl.json");

fn golden() -> (Value, VerifierKey) {
    let golden: Value = serde_json::from_str(BY_OPENSSL).unwrap();
    let key = golden["public_key"].as_str().unwrap().parse().unwrap();
    (golden, key)
}

fn texts(of: &Value) -> impl Iterator<Item = (&String, &str)> {
    of.as_object().unwrap().iter().map(|(name, text)| (name, text.as_str().unwrap()))
}

#[test]
fn a_checkpoint_by_openssl_opens_and_its_key_reads_back() {
    let (golden, key) = golden();
    let checkpoint = key.open(golden["checkpoint"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!((checkpoint.size(), checkpoint.root()), (42, [3; 32]));
    assert_eq!(key.to_string(), golden["public_key"]);
    assert_eq!(VerifierKey::new(key.name(), key.public_key()).unwrap().to_string(), key.to_string());
}

#[test]
fn every_other_padding_salt_hash_and_key_is_refused() {
    let (golden, key) = golden();
    let mut count = 0;
    for (name, note) in texts(&golden["refused_signatures"]) {
        assert!(key.open(note.as_bytes()).is_err(), "{name}");
        count += 1;
    }
    for (name, line) in texts(&golden["refused_keys"]) {
        assert!(line.parse::<VerifierKey>().is_err(), "{name}");
        count += 1;
    }
    assert_eq!(count, 13);
}

#[test]
fn any_changed_byte_is_refused() {
    let (golden, key) = golden();
    let note = golden["checkpoint"].as_str().unwrap().as_bytes();
    for index in 0..note.len() {
        let mut changed = note.to_vec();
        changed[index] ^= 1;
        assert!(key.open(&changed).is_err(), "byte {index}");
    }
    let line = golden["public_key"].as_str().unwrap();
    for index in 0..line.len() {
        let mut changed = line.as_bytes().to_vec();
        changed[index] ^= 1;
        let read = std::str::from_utf8(&changed).ok().and_then(|line| line.parse::<VerifierKey>().ok());
        assert!(read.is_none_or(|read| read.open(note).is_err()), "byte {index} of the key");
    }
}

#[test]
fn a_statement_is_no_checkpoint_and_a_checkpoint_no_statement() {
    let (golden, key) = golden();
    let [checkpoint, statement] = ["checkpoint", "statement"].map(|name| golden[name].as_str().unwrap());
    let kind = StatementKind::BackupManifest;
    assert_eq!(kind.open(statement.as_bytes(), &key).unwrap(), "of it");
    assert!(kind.open(checkpoint.as_bytes(), &key).is_err());
    assert!(key.open(statement.as_bytes()).is_err());
}

#[test]
fn a_modulus_of_another_size_or_of_even_value_is_no_key() {
    let (_, key) = golden();
    let PublicKey::Rsa3072(modulus) = key.public_key() else { panic!("{key}") };
    for (at, value) in [(0, 0), (0, 0x7f), (383, modulus[383] & 0xfe)] {
        let mut other = modulus;
        other[at] = value;
        assert!(VerifierKey::new("a", PublicKey::Rsa3072(other)).is_err(), "byte {at} is {value}");
    }
}
