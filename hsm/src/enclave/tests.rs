//! Objects of the token that are not what they should be: put there with the PIN and the module's own calls.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test
#![allow(clippy::wildcard_enum_match_arm, clippy::print_stdout)] // what was not expected is printed

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass};
use cryptoki::types::Ulong;

use super::*;
use crate::arena::SecretMemoryPolicy;
use crate::labels::{CANARY_LABEL, KEK_LABEL};
use crate::make_softhsm_token;
use crate::pkcs11::Session;
use crate::settings::SchemeChoice;
use crate::wrap::{self, Kek, WrappedKey};

mod checkpoint_seed;
mod lease;
mod meddling;
mod residue;
mod scanner;
mod schemes;
mod watched;

#[path = "../../tests/support/token.rs"]
mod support;
use meddling::{
    HEADER_LEN, meddle, meddle_by, meddle_with_sessions, put, record, rehashed, replace, take_canary,
    with_records,
};
use support::{Fixture, create, new_key, run, signs, soon};

fn isolated(name: &str, body: impl FnOnce(Fixture)) {
    support::isolated(&format!("enclave::tests::{name}"), body);
}

/// Two keys; the record of the first is replaced by what `forge` makes of both records.
fn forged(name: &str, forge: impl FnOnce(&WrappedKey, &WrappedKey) -> Vec<u8>) {
    isolated(name, |fixture| {
        fixture.initialised();
        let enclave = fixture.open();
        let (victim, other) = (new_key(1), new_key(1));
        create(&enclave, victim);
        let sound = create(&enclave, other);
        enclave.close();
        meddle(&fixture, |session| {
            let forged = forge(&record(session, victim.id), &record(session, other.id));
            replace(session, victim.id, &forged);
        });
        let enclave = fixture.open();
        let answer = run(enclave.scalar_mul(victim.id, G1Point::generator(), soon()));
        assert!(matches!(answer, Err(EnclaveError::KeyUnreadable)), "{answer:?}");
        assert_eq!(enclave.public_key(victim.id), None);
        assert_eq!(enclave.health().findings.unreadable, [victim.id]);
        assert_eq!(enclave.keys().len(), 1);
        assert!(signs(&enclave, other.id, &sound));
        // Not deleted by itself, and not overwritten by a creation of the same name.
        assert!(matches!(run(enclave.create(victim, soon())), Err(EnclaveError::KeyUnreadable)));
        run(enclave.destroy(victim.id, soon())).unwrap();
        let again = create(&enclave, victim);
        assert!(signs(&enclave, victim.id, &again));
    });
}

#[test]
fn a_record_copied_over_another_keys_is_refused() {
    forged("a_record_copied_over_another_keys_is_refused", |_, other| other.encoded().to_vec());
}

#[test]
fn a_ciphertext_moved_under_another_keys_header_is_refused() {
    forged("a_ciphertext_moved_under_another_keys_header_is_refused", |victim, other| {
        let (mut forged, other) = (victim.encoded().to_vec(), other.encoded());
        forged[HEADER_LEN..].copy_from_slice(&other[HEADER_LEN..]);
        rehashed(forged)
    });
}

#[test]
fn a_changed_owner_is_refused() {
    forged("a_changed_owner_is_refused", |victim, _| {
        let mut forged = victim.encoded().to_vec();
        forged[40] ^= 1;
        rehashed(forged)
    });
}

#[test]
fn a_flipped_bit_of_the_ciphertext_is_refused() {
    forged("a_flipped_bit_of_the_ciphertext_is_refused", |victim, _| {
        let mut forged = victim.encoded().to_vec();
        forged[HEADER_LEN + 20] ^= 1;
        rehashed(forged)
    });
}

#[test]
fn a_changed_version_and_a_changed_name_are_refused() {
    forged("a_changed_version_and_a_changed_name_are_refused", |victim, _| {
        let mut forged = victim.encoded().to_vec();
        assert_eq!(forged[59..71], *b"\0\0\0\x01\x07default");
        forged[62] = 2;
        forged[64] = b'e';
        rehashed(forged)
    });
}

#[test]
fn a_change_of_any_byte_of_a_record_is_refused() {
    isolated("a_change_of_any_byte_of_a_record_is_refused", |fixture| {
        fixture.initialised();
        let enclave = fixture.open();
        let key = new_key(1);
        create(&enclave, key);
        enclave.close();
        meddle_with_sessions(&fixture, |open_session| {
            let session = open_session();
            let kek = Kek::find(&session).unwrap();
            let sound = record(&session, key.id);
            let mut arena = crate::arena::Arena::new(SecretMemoryPolicy::PreferSecret).unwrap();
            assert!(wrap::open(&session, kek.handle, &sound, arena.parts().0).is_ok());
            let mut refused_by_the_token = 0;
            for at in 0..sound.encoded().len() - 32 {
                let mut bytes = sound.encoded().to_vec();
                bytes[at] ^= 1;
                let Ok(changed) = WrappedKey::parse(&rehashed(bytes)) else { continue };
                // A refusal may spoil a session.
                let opened = wrap::open(&open_session(), kek.handle, &changed, arena.parts().0);
                assert!(opened.is_err(), "byte {at}");
                refused_by_the_token += 1;
            }
            // Ids, owner, version, name, time, IV and ciphertext; the rest does not parse.
            assert!(refused_by_the_token > 100, "{refused_by_the_token}");
        });
    });
}

#[test]
fn two_records_that_were_swapped_are_both_refused() {
    isolated("two_records_that_were_swapped_are_both_refused", |fixture| {
        fixture.initialised();
        let enclave = fixture.open();
        let (first, second) = (new_key(1), new_key(1));
        create(&enclave, first);
        create(&enclave, second);
        enclave.close();
        meddle(&fixture, |session| {
            let records = [first.id, second.id].map(|id| record(session, id).encoded().to_vec());
            replace(session, first.id, &records[1]);
            replace(session, second.id, &records[0]);
        });
        let enclave = fixture.open();
        for key in [first, second] {
            let answer = run(enclave.scalar_mul(key.id, G1Point::generator(), soon()));
            assert!(matches!(answer, Err(EnclaveError::KeyUnreadable)), "{answer:?}");
        }
        assert!(enclave.keys().is_empty());
    });
}

#[test]
fn a_token_of_0_1_is_refused_with_a_sentence() {
    isolated("a_token_of_0_1_is_refused_with_a_sentence", |fixture| {
        fixture.initialised();
        meddle(&fixture, |session| {
            let mut bytes = take_canary(session);
            bytes[4] = 1;
            put(session, CANARY_LABEL, "avs-kms/1", &rehashed(bytes));
        });
        let error = Enclave::open(fixture.settings()).unwrap_err();
        assert!(matches!(error, OpenError::RecordFormat), "{error}");
        assert!(error.to_string().contains("avs-kms 0.1"), "{error}");
    });
}

#[test]
fn a_failed_search_is_ended_and_its_session_can_search_again() {
    isolated("a_failed_search_is_ended_and_its_session_can_search_again", |fixture| {
        fixture.initialised();
        let module = test_report::fault_injection_module(&fixture.directory);
        let settings = Settings { module, ..fixture.settings() };
        meddle_by(&settings, |open_session| {
            let session = open_session();
            std::fs::write(fixture.directory.join("rules"), "C_FindObjects rv=0x30 times=1").unwrap();
            let error = session.find(&[], 100).unwrap_err();
            assert_eq!(error.to_string(), "C_FindObjects answered CKR_DEVICE_ERROR");
            assert!(!session.find(&[], 100).unwrap().is_empty());
        });
    });
}

#[test]
fn a_truncated_record_is_refused() {
    forged("a_truncated_record_is_refused", |victim, _| victim.encoded()[..100].to_vec());
}

#[test]
fn foreign_and_incomplete_objects_are_counted_and_left_alone() {
    isolated("foreign_and_incomplete_objects_are_counted_and_left_alone", |fixture| {
        fixture.initialised();
        let enclave = fixture.open();
        let key = new_key(1);
        let public = create(&enclave, key);
        enclave.close();
        let count = |session: &Session| session.find(&[], 100).unwrap().len();
        let before = meddle(&fixture, |session| {
            put(session, "foreign", "another program", b"value");
            put(session, "", "", b"");
            put(session, "bn254/not an id", "avs-kms/1", b"");
            let template = [Attribute::ValueLen(Ulong::new(16)), Attribute::Token(true)];
            session.generate_key(&Mechanism::AesKeyGen, &template).unwrap();
            count(session)
        });
        // What a kill in C_CreateObject leaves: an empty object file.
        let stump = fixture.token_directory().join("00000000-0000-0000-0000-000000000000.object");
        std::fs::write(&stump, b"").unwrap();
        let enclave = fixture.open();
        let findings = enclave.health().findings;
        assert_eq!((findings.foreign, findings.incomplete), (2, 2));
        assert!(findings.unreadable.is_empty() && findings.duplicated.is_empty());
        assert!(signs(&enclave, key.id, &public));
        enclave.close();
        assert_eq!(meddle(&fixture, count), before);
        assert!(stump.exists());
    });
}

#[test]
fn two_identical_records_are_one_key_and_two_different_ones_are_none() {
    isolated("two_identical_records_are_one_key_and_two_different_ones_are_none", |fixture| {
        fixture.initialised();
        let enclave = fixture.open();
        let (twice, torn) = (new_key(1), new_key(1));
        let public = create(&enclave, twice);
        create(&enclave, torn);
        enclave.close();
        meddle(&fixture, |session| {
            let bytes = record(session, twice.id).encoded().to_vec();
            put(session, &wrap::key_label(twice.id), "avs-kms/1", &bytes);
            // An unreadable second record beside a sound one does not harm the sound one.
            put(session, &wrap::key_label(torn.id), "avs-kms/1", b"AVSK");
        });
        let enclave = fixture.open();
        let findings = enclave.health().findings;
        let mut both = vec![twice.id, torn.id];
        both.sort();
        assert_eq!(findings.duplicated, both);
        assert!(findings.unreadable.is_empty());
        assert!(signs(&enclave, twice.id, &public));
    });
}

#[test]
fn a_key_encryption_key_that_could_leave_the_token_is_refused() {
    let name = "a_key_encryption_key_that_could_leave_the_token_is_refused";
    isolated(name, |fixture| {
        fixture.initialised();
        let template = |weak| {
            [
                Attribute::ValueLen(Ulong::new(32)),
                Attribute::Label(KEK_LABEL.into()),
                Attribute::Id(vec![7; 16]),
                Attribute::Token(true),
                Attribute::Private(true),
                Attribute::Sensitive(true),
                Attribute::Wrap(false),
                Attribute::Unwrap(false),
                Attribute::Sign(false),
                Attribute::Verify(false),
                Attribute::Derive(false),
                Attribute::Encrypt(true),
                Attribute::Decrypt(true),
                weak,
            ]
        };
        for (weak, what) in [
            (Attribute::Extractable(true), "CKA_EXTRACTABLE"),
            (Attribute::Wrap(true), "CKA_WRAP"),
            (Attribute::Derive(true), "CKA_DERIVE"),
            (Attribute::Sensitive(false), "CKA_SENSITIVE"),
            (Attribute::Decrypt(false), "CKA_DECRYPT"),
        ] {
            meddle(&fixture, |session| {
                for kek in session.find(&[Attribute::Class(ObjectClass::SECRET_KEY)], 9).unwrap() {
                    session.destroy(kek).unwrap();
                }
                session.generate_key(&Mechanism::AesKeyGen, &template(weak)).unwrap();
            });
            match Enclave::open(fixture.settings()) {
                Err(OpenError::KekAttributes { problem }) => assert!(problem.contains(what), "{problem}"),
                other => panic!("{what}: {other:?}"),
            }
        }
    });
}

#[test]
fn a_second_key_encryption_key_is_refused() {
    isolated("a_second_key_encryption_key_is_refused", |fixture| {
        fixture.initialised();
        let error = meddle(&fixture, |session| {
            Kek::generate(session, wrap::KekKind::Aes, KEK_LABEL, [7; 16]).unwrap_err()
        });
        assert!(matches!(error, wrap::KekError::Duplicate { count: 2, .. }), "{error}");
        let error = Enclave::open(fixture.settings()).unwrap_err();
        assert!(matches!(error, OpenError::KekDuplicate { count: 2, .. }), "{error}");
    });
}

#[test]
fn a_missing_a_forged_and_a_second_canary_are_refused() {
    isolated("a_missing_a_forged_and_a_second_canary_are_refused", |fixture| {
        fixture.initialised();
        let bytes = meddle(&fixture, take_canary);
        let refused = || Enclave::open(fixture.settings()).unwrap_err();
        assert!(matches!(refused(), OpenError::CanaryMissing { count: 0 }));
        let mut forged = bytes.clone();
        forged[100] ^= 1;
        meddle(&fixture, |session| put(session, CANARY_LABEL, "avs-kms/1", &rehashed(forged)));
        assert!(matches!(refused(), OpenError::CanaryFailed { .. }), "{}", refused());
        meddle(&fixture, |session| put(session, CANARY_LABEL, "avs-kms/1", &bytes));
        assert!(matches!(refused(), OpenError::CanaryMissing { count: 2 }));
    });
}

#[test]
fn the_key_encryption_key_is_what_it_must_be() {
    isolated("the_key_encryption_key_is_what_it_must_be", |fixture| {
        fixture.initialised();
        meddle(&fixture, |session| {
            let kek = Kek::find(session).unwrap();
            let refusal = session.generate_key(&Mechanism::AesKeyGen, &[Attribute::ValueLen(Ulong::new(16))]);
            assert!(refusal.is_ok());
            assert!(session.hides(kek.handle, AttributeType::Value).unwrap());
            let copy = kek.session_copy(session).unwrap();
            assert_ne!(copy, kek.handle, "SoftHSM allows a session copy; without one each use reads files");
            assert!(session.hides(copy, AttributeType::Value).unwrap());
        });
    });
}
