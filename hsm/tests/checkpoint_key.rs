//! The checkpoint key on tokens that lack some kinds of keys, emulated over SoftHSM: which one `init` makes, that every
//! signature of it verifies, before and after a restart, and that nothing else is left behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test
#![allow(clippy::wildcard_enum_match_arm, clippy::print_stdout)] // what was not expected is printed

use hsm::*;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use test_report::fault_injection_module;

#[path = "support/token.rs"]
mod support;
use support::*;

const ED25519_KEY: &str = "Ed25519 in the token";
const P256_KEY: &str = "ECDSA P-256 in the token";
const RSA_KEY: &str = "RSA-PSS with 3072 bits in the token";
const SOFTWARE_KEY: &str = "Ed25519 in software, sealed by the token";
/// SoftHSM's files: of the token, the key-encryption key, the store key, the canary.
const OBJECTS_BESIDE_IT: usize = 4;

fn behind(fixture: &Fixture, rules: &str) -> Settings {
    make_softhsm_token(&fixture.plan()).unwrap();
    rule(fixture, rules);
    Settings { module: fault_injection_module(&fixture.directory), ..fixture.settings() }
}

fn rule(fixture: &Fixture, rules: &str) {
    // A new name each time: two contents within one clock tick would look the same.
    let path = fixture.directory.join("rules.new");
    std::fs::write(&path, rules).unwrap();
    std::fs::rename(path, fixture.directory.join("rules")).unwrap();
}

fn verifies(key: &CheckpointKey, text: &[u8], signature: &[u8]) -> bool {
    match key {
        CheckpointKey::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(text, signature).is_ok(),
        CheckpointKey::P256(point) => {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(text, signature).is_ok()
        }
        CheckpointKey::Rsa3072(n) => RsaPublicKeyComponents { n: n.as_slice(), e: [1_u8, 0, 1].as_slice() }
            .verify(&RSA_PSS_2048_8192_SHA256, text, signature)
            .is_ok(),
    }
}

fn signs_checkpoints(enclave: &Enclave) -> CheckpointKey {
    let key = enclave.checkpoint_key().unwrap();
    for length in [0, 1, 100, 4000] {
        let text = vec![b'x'; length];
        let signature = enclave.sign_checkpoint(&text, soon()).unwrap();
        assert!(verifies(&key, &text, &signature), "{length} bytes");
        assert!(!verifies(&key, b"another text", &signature));
    }
    key
}

/// Init, signatures, keys, a restart, signatures; what `doctor` says; how many objects there are.
fn walk(name: &str, rules: &str, expected: &'static str, objects: usize) {
    isolated(name, |fixture| {
        let settings = behind(&fixture, rules);
        let report = Enclave::initialise(&settings).unwrap().report;
        assert_eq!(report.checkpoint_key, expected);
        let files = std::fs::read_dir(fixture.token_directory()).unwrap();
        let is_object = |path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "object");
        let found = files.map(|file| file.unwrap().path()).filter(is_object).count();
        assert_eq!(found, OBJECTS_BESIDE_IT + objects, "something is left behind");
        let enclave = Enclave::open(settings.clone()).unwrap();
        let before = signs_checkpoints(&enclave);
        let key = new_key(1);
        let public = create(&enclave, key);
        enclave.close();
        let enclave = Enclave::open(settings.clone()).unwrap();
        assert_eq!(signs_checkpoints(&enclave), before);
        assert!(signs(&enclave, key.id, &public));
        assert_eq!(enclave.health().findings, Findings::default());
        enclave.close();
        let examined = Enclave::examine(&settings).unwrap();
        assert!(examined.is_fit(), "{examined:?}");
        assert_eq!(examined.checkpoint_key, Some(before));
        assert!(examined.checks.iter().any(|check| check.found == expected), "{examined:?}");
    });
}

#[test]
fn a_token_with_edwards_curves_signs_by_ed25519() {
    walk("a_token_with_edwards_curves_signs_by_ed25519", "", ED25519_KEY, 2);
}

#[test]
fn a_token_that_makes_no_edwards_key_signs_by_p256() {
    let name = "a_token_that_makes_no_edwards_key_signs_by_p256";
    walk(name, "C_GenerateKeyPair rv=0x70 times=1", P256_KEY, 2);
}

#[test]
fn a_token_without_elliptic_curves_signs_by_rsa() {
    walk("a_token_without_elliptic_curves_signs_by_rsa", "no_ec slow", RSA_KEY, 2);
}

#[test]
fn a_token_that_signs_rsa_over_a_digest_alone_is_asked_for_that() {
    let name = "a_token_that_signs_rsa_over_a_digest_alone_is_asked_for_that";
    walk(name, "no_ec slow\nno_combined_pss slow", RSA_KEY, 2);
}

#[test]
fn a_token_that_takes_another_salt_is_asked_to_sign_a_digest() {
    let name = "a_token_that_takes_another_salt_is_asked_to_sign_a_digest";
    walk(name, "no_ec slow\nwrong_combined_pss slow", RSA_KEY, 2);
}

#[test]
fn a_key_that_does_not_sign_is_destroyed_and_the_next_kind_taken() {
    let name = "a_key_that_does_not_sign_is_destroyed_and_the_next_kind_taken";
    walk(name, "ec_signs_nothing slow", RSA_KEY, 2);
}

#[test]
fn a_token_without_key_pairs_seals_a_key_of_software() {
    walk("a_token_without_key_pairs_seals_a_key_of_software", "no_key_pairs slow", SOFTWARE_KEY, 1);
}

#[test]
fn a_token_without_key_pairs_and_aes_gcm_seals_one_too() {
    let name = "a_token_without_key_pairs_and_aes_gcm_seals_one_too";
    walk(name, "device:no_gcm slow\nno_key_pairs slow", SOFTWARE_KEY, 1);
}

#[test]
fn a_token_without_key_pairs_and_with_key_wrap_alone_seals_one_too() {
    let name = "a_token_without_key_pairs_and_with_key_wrap_alone_seals_one_too";
    walk(name, "device:key_wrap slow\nno_key_pairs slow", SOFTWARE_KEY, 1);
}

#[test]
fn a_token_that_is_away_for_a_moment_does_not_get_a_weaker_key() {
    let name = "a_token_that_is_away_for_a_moment_does_not_get_a_weaker_key";
    isolated(name, |fixture| {
        let settings = behind(&fixture, "C_GenerateKeyPair rv=0x32 times=1");
        let refused = Enclave::initialise(&settings).unwrap_err();
        assert!(matches!(refused, OpenError::Token(_)), "{refused}");
        assert_eq!(Enclave::initialise(&settings).unwrap().report.checkpoint_key, ED25519_KEY);
    });
}

#[test]
fn a_pair_that_neither_signs_nor_can_be_destroyed_ends_the_init_with_the_cure() {
    let name = "a_pair_that_neither_signs_nor_can_be_destroyed_ends_the_init_with_the_cure";
    isolated(name, |fixture| {
        let settings = behind(&fixture, "ec_signs_nothing slow\nC_DestroyObject rv=0x1B after=2");
        match Enclave::initialise(&settings) {
            Err(OpenError::Unfinished { failed, kept }) => {
                assert!(failed.to_string().contains("destroy it by the vendor's tools"), "{failed}");
                assert!(kept.contains("C_DestroyObject"), "{kept}");
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn an_init_that_dies_between_the_kinds_can_be_repeated() {
    let name = "an_init_that_dies_between_the_kinds_can_be_repeated";
    isolated(name, |fixture| {
        if let Ok(rules) = std::env::var("HSM_DIES_BY") {
            rule(&fixture, &rules);
            let module = fault_injection_module(&fixture.directory);
            Enclave::initialise(&Settings { module, ..fixture.settings() }).unwrap();
            return;
        }
        for (rules, expected) in [
            ("C_GenerateKeyPair kill", ED25519_KEY),
            ("C_GenerateKeyPair kill_post", ED25519_KEY),
            // The first object is the one by which init finds out whether the token takes any.
            ("no_key_pairs slow\nC_CreateObject kill after=1", ED25519_KEY),
            ("no_key_pairs slow\nC_CreateObject kill_post after=1", SOFTWARE_KEY),
        ] {
            let settings = behind(&fixture, "");
            let mut child = again(name, &fixture.directory);
            let died = child.env("HSM_DIES_BY", rules).output().unwrap();
            assert!(!died.status.success(), "{rules}: {}", text(&died));
            rule(&fixture, "");
            restore_softhsm_token(&fixture.plan()).unwrap();
            assert_eq!(Enclave::initialise(&settings).unwrap().report.checkpoint_key, expected, "{rules}");
            let enclave = Enclave::open(settings).unwrap();
            signs_checkpoints(&enclave);
            enclave.close();
            std::fs::remove_dir_all(fixture.directory.join("tokens")).unwrap();
        }
    });
}
