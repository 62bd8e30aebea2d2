//! A checkpoint key in software: only the record that `init` sealed opens, and a token with two keys is refused.

use test_report::fault_injection_module;

use super::*;
use crate::arena::Arena;
use crate::labels::CHECKPOINT_SEED_LABEL;

/// A token that made no key pair when it was initialised. What opens it afterwards is SoftHSM itself.
pub(super) fn initialised_without_key_pairs(fixture: &Fixture, scheme: SchemeChoice) {
    make_softhsm_token(&fixture.plan()).unwrap();
    std::fs::write(fixture.directory.join("rules"), "no_key_pairs slow").unwrap();
    let module = fault_injection_module(&fixture.directory);
    let report = Enclave::initialise(&Settings { module, scheme, ..fixture.settings() }).unwrap().report;
    assert_eq!(report.checkpoint_key, "Ed25519 in software, sealed by the token");
}

fn sealed(session: &Session) -> WrappedKey {
    let mut found =
        with_records(session, |records| wrap::find_labelled(records, CHECKPOINT_SEED_LABEL).unwrap());
    assert_eq!(found.len(), 1);
    found.pop().unwrap().unwrap()
}

/// The clear seed, as only a holder of the PIN can have it.
pub(super) fn seed_of(fixture: &Fixture) -> [u8; 32] {
    meddle(fixture, |session| {
        let kek = Kek::find(session).unwrap();
        let mut arena = Arena::new(SecretMemoryPolicy::PreferSecret).unwrap();
        wrap::open(session, kek.handle, &sealed(session), arena.parts().0).unwrap().plain_for_test()
    })
}

fn put_back(session: &Session, value: &[u8]) {
    with_records(session, |records| records.remove(CHECKPOINT_SEED_LABEL).unwrap());
    put(session, CHECKPOINT_SEED_LABEL, "avs-kms/1", value);
}

fn refused(fixture: &Fixture, what: &str) {
    match Enclave::open(fixture.settings()) {
        Err(OpenError::CheckpointKey { problem, .. }) => println!("{what}: {problem}"),
        other => panic!("{what}: {other:?}"),
    }
    let examined = Enclave::examine(&fixture.settings()).unwrap();
    let check = examined.checks.iter().find(|check| check.what == "the checkpoint key signs").unwrap();
    assert!(!check.passed && check.fatal, "{what}: {check:?}");
}

#[test]
fn only_the_record_that_init_sealed_opens() {
    isolated("checkpoint_seed::only_the_record_that_init_sealed_opens", |fixture| {
        initialised_without_key_pairs(&fixture, SchemeChoice::Auto);
        let sound = meddle(&fixture, |session| sealed(session).encoded().to_vec());
        // Magic, format, scheme, key-encryption key, name, kind, public key, vector, ciphertext, tag; then a torn one.
        let length = sound.len() - 32;
        let places = [0, 4, 5, 6, 7, 60, 66, 79, 81, 91, 95, length - 60, length - 20, length - 1];
        for at in places {
            let mut changed = sound.clone();
            changed[at] ^= 1;
            meddle(&fixture, |session| put_back(session, &rehashed(changed)));
            refused(&fixture, &format!("byte {at}"));
        }
        meddle(&fixture, |session| put_back(session, &sound[..length]));
        refused(&fixture, "a torn record");
        // The store key's record, which the same key sealed.
        let other = meddle(&fixture, |session| {
            with_records(session, |records| records.find("store-key/1").unwrap()).pop().unwrap()
        });
        meddle(&fixture, |session| put_back(session, &other));
        refused(&fixture, "the store key's record");
        meddle(&fixture, |session| {
            put_back(session, &sound);
            put(session, CHECKPOINT_SEED_LABEL, "avs-kms/1", &sound);
        });
        refused(&fixture, "two records");
        meddle(&fixture, |session| put_back(session, &sound));
        fixture.open().close();
    });
}

#[test]
fn a_token_with_a_pair_and_a_sealed_seed_is_refused() {
    isolated("checkpoint_seed::a_token_with_a_pair_and_a_sealed_seed_is_refused", |fixture| {
        initialised_without_key_pairs(&fixture, SchemeChoice::Auto);
        let sound = meddle(&fixture, |session| sealed(session).encoded().to_vec());
        let tokens = fixture.directory.join("tokens");
        std::fs::remove_dir_all(tokens).unwrap();
        fixture.initialised();
        meddle(&fixture, |session| {
            let mut of_this_kek = sound;
            of_this_kek[7..23].copy_from_slice(&Kek::find(session).unwrap().id);
            put(session, CHECKPOINT_SEED_LABEL, "avs-kms/1", &rehashed(of_this_kek));
        });
        refused(&fixture, "both");
    });
}
