//! Keys that the administrator of the HSM made before `init`: found by label, checked, used, and never destroyed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test
#![allow(clippy::wildcard_enum_match_arm, clippy::print_stdout)] // what was not expected is printed

use std::fs;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, KeyType, ObjectClass};
use cryptoki::session::{Session, UserType};
use hsm::*;

#[path = "support/token.rs"]
mod support;
use support::*;

const KEK: &str = "the administrator's AES key";
const CHECKPOINT: &str = "the administrator's EC key";

/// Does something as the administrator would, with other software.
#[expect(clippy::disallowed_methods, reason = "it is not the enclave")]
fn as_administrator<R>(fixture: &Fixture, with: impl FnOnce(&Session) -> R) -> R {
    let module = Pkcs11::new(SOFTHSM_MODULE).unwrap();
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let slot = module.get_slots_with_initialized_token().unwrap()[0];
    let result = {
        let session = module.open_rw_session(slot).unwrap();
        let pin = fs::read_to_string(fixture.directory.join("pin")).unwrap().trim().to_owned();
        session.login(UserType::User, Some(&pin.into())).unwrap();
        with(&session)
    };
    module.finalize().unwrap();
    result
}

/// An AES key that is fit, with some attributes changed.
fn aes(session: &Session, label: &str, changes: &[Attribute]) {
    let mut template = vec![
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::ValueLen(32.into()),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
        Attribute::Wrap(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
        Attribute::Sign(false),
        Attribute::Verify(false),
        Attribute::Label(label.into()),
    ];
    template.retain(|kept| changes.iter().all(|change| change.attribute_type() != kept.attribute_type()));
    template.extend_from_slice(changes);
    session.generate_key(&Mechanism::AesKeyGen, &template).unwrap();
}

fn p256(session: &Session, label: &str) {
    const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let public = [Attribute::Token(true), Attribute::Verify(true), Attribute::EcParams(P256.into())];
    let private = [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
    ];
    let label = [Attribute::Label(label.into())];
    let pair = (&[&public[..], &label].concat(), &[&private[..], &label].concat());
    session.generate_key_pair(&Mechanism::EccKeyPairGen, pair.0, pair.1).unwrap();
}

fn prepared(fixture: &Fixture) -> Settings {
    let prepared_keys = PreparedKeys { kek: Some(KEK.into()), checkpoint_key: Some(CHECKPOINT.into()) };
    Settings { prepared_keys, ..fixture.settings() }
}

fn keys_of(session: &Session) -> usize {
    let count =
        |class| session.find_objects(&[Attribute::Class(class), Attribute::Token(true)]).unwrap().len();
    count(ObjectClass::SECRET_KEY) + count(ObjectClass::PRIVATE_KEY) + count(ObjectClass::PUBLIC_KEY)
}

#[test]
fn keys_of_the_administrator_are_used_where_a_user_may_make_none() {
    isolated("keys_of_the_administrator_are_used_where_a_user_may_make_none", |fixture| {
        make_softhsm_token(&fixture.plan()).unwrap();
        // No CKA_ID, and one of another length than ours.
        as_administrator(&fixture, |session| {
            aes(session, KEK, &[]);
            p256(session, CHECKPOINT);
            aes(session, "of another application", &[Attribute::Id(vec![1, 2, 3])]);
        });
        fs::write(fixture.directory.join("rules"), "C_GenerateKey rv=0x54\nnot_local slow").unwrap();
        let module = test_report::fault_injection_module(&fixture.directory);
        let settings = Settings { module, ..prepared(&fixture) };
        let report = Enclave::initialise(&settings).unwrap().report;
        assert_eq!((report.kek_label.as_str(), report.scheme), (KEK, "S1"));
        let again = Enclave::initialise(&settings).unwrap_err();
        assert!(matches!(again, OpenError::AlreadyInitialised { .. }), "{again}");
        let enclave = Enclave::open(settings.clone()).unwrap();
        let key = new_key(1);
        let public = create(&enclave, key);
        assert!(matches!(enclave.checkpoint_key().unwrap(), CheckpointKey::P256(_)));
        enclave.close();
        let enclave = Enclave::open(settings.clone()).unwrap();
        assert!(signs(&enclave, key.id, &public));
        enclave.close();
        assert!(Enclave::examine(&settings).unwrap().is_fit());
        assert_eq!(as_administrator(&fixture, keys_of), 4, "init made or destroyed a key");
        // Without the setting, this is a token that init has not seen.
        let error = Enclave::open(fixture.settings()).unwrap_err();
        assert!(matches!(error, OpenError::KekMissing { .. }), "{error}");
    });
}

/// An RSA pair whose private half decrypts and does nothing else.
fn rsa(session: &Session, label: &str) {
    let public = [
        Attribute::Token(true),
        Attribute::ModulusBits(3072.into()),
        Attribute::PublicExponent(vec![1, 0, 1]),
        Attribute::Label(label.into()),
    ];
    let private = [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Decrypt(true),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
        Attribute::Sign(false),
        Attribute::Label(label.into()),
    ];
    session.generate_key_pair(&Mechanism::RsaPkcsKeyPairGen, &public, &private).unwrap();
}

#[test]
fn an_hsm_with_oaep_alone_and_without_data_objects_serves_by_keys_of_its_administrator() {
    let name = "an_hsm_with_oaep_alone_and_without_data_objects_serves_by_keys_of_its_administrator";
    isolated(name, |fixture| {
        make_softhsm_token(&fixture.plan()).unwrap();
        as_administrator(&fixture, |session| {
            rsa(session, KEK);
            p256(session, CHECKPOINT);
        });
        // NetHSM: no user makes a key or an object.
        let rules = "device:nethsm slow\ndata_objects_refused slow\nC_GenerateKey rv=0x54\nC_GenerateKeyPair rv=0x54\n";
        fs::write(fixture.directory.join("rules"), rules).unwrap();
        let module = test_report::fault_injection_module(&fixture.directory);
        let records = Directory::new(fixture.directory.join("records"));
        let settings = Settings { module, records: Some(records), ..prepared(&fixture) };
        let report = Enclave::initialise(&settings).unwrap().report;
        assert_eq!((report.kek_label.as_str(), report.scheme, report.location), (KEK, "S5", "store"));
        let key = new_key(1);
        let enclave = Enclave::open(settings.clone()).unwrap();
        let public = create(&enclave, key);
        enclave.close();
        let enclave = Enclave::open(settings.clone()).unwrap();
        assert!(signs(&enclave, key.id, &public));
        enclave.close();
        assert!(Enclave::examine(&settings).unwrap().is_fit());
        assert_eq!(as_administrator(&fixture, keys_of), 4, "init made or destroyed a key");
    });
}

#[test]
fn an_unfit_or_missing_key_of_the_administrator_is_refused_with_the_cure_and_left_alone() {
    let name = "an_unfit_or_missing_key_of_the_administrator_is_refused_with_the_cure_and_left_alone";
    isolated(name, |fixture| {
        make_softhsm_token(&fixture.plan()).unwrap();
        let missing = Enclave::initialise(&prepared(&fixture)).unwrap_err().to_string();
        assert!(missing.contains(KEK) && missing.contains("pkcs11.kek_label"), "{missing}");
        for (unfit, said) in [
            (Attribute::Extractable(true), "CKA_EXTRACTABLE"),
            (Attribute::Sensitive(false), "CKA_SENSITIVE"),
            (Attribute::Wrap(true), "CKA_WRAP"),
            (Attribute::Decrypt(false), "CKA_DECRYPT"),
            (Attribute::ValueLen(16.into()), "CKA_VALUE_LEN"),
        ] {
            as_administrator(&fixture, |session| aes(session, KEK, &[unfit]));
            let refused = Enclave::initialise(&prepared(&fixture)).unwrap_err().to_string();
            assert!(refused.contains(said) && refused.contains("administrator"), "{refused}");
            as_administrator(&fixture, |session| {
                let found = session.find_objects(&[Attribute::Label(KEK.into())]).unwrap();
                assert_eq!(found.len(), 1, "{said}: init destroyed it");
                session.destroy_object(found[0]).unwrap();
                assert_eq!(session.find_objects(&[Attribute::Token(true)]).unwrap().len(), 0, "{said}");
            });
        }
        as_administrator(&fixture, |session| {
            aes(session, KEK, &[]);
            aes(session, KEK, &[]);
        });
        let twice = Enclave::initialise(&prepared(&fixture)).unwrap_err();
        assert!(matches!(twice, OpenError::KekDuplicate { count: 2, .. }), "{twice}");
    });
}

#[test]
fn a_missing_checkpoint_key_of_the_administrator_is_named() {
    isolated("a_missing_checkpoint_key_of_the_administrator_is_named", |fixture| {
        make_softhsm_token(&fixture.plan()).unwrap();
        as_administrator(&fixture, |session| aes(session, KEK, &[]));
        let missing = Enclave::initialise(&prepared(&fixture)).unwrap_err().to_string();
        assert!(missing.contains(CHECKPOINT) && missing.contains("checkpoint_key_label"), "{missing}");
        as_administrator(&fixture, |session| p256(session, CHECKPOINT));
        Enclave::initialise(&prepared(&fixture)).unwrap();
        assert_eq!(as_administrator(&fixture, keys_of), 3);
        let all = KeyType::AES;
        let still = as_administrator(&fixture, |session| {
            session.find_objects(&[Attribute::KeyType(all), Attribute::Token(true)]).unwrap().len()
        });
        assert_eq!(still, 1);
    });
}

/// A caller of a move that has nothing against it.
struct Willing;

impl RewrapCaller for Willing {
    fn accept_key(&self, _: &CheckpointKey) -> Result<(), String> {
        Ok(())
    }

    fn is_gone(&self, _: KeyId) -> bool {
        false
    }

    fn progress(&self, _: usize, _: usize) {}
}

#[test]
fn all_keys_move_to_keys_of_the_administrator_in_the_same_token() {
    isolated("all_keys_move_to_keys_of_the_administrator_in_the_same_token", |fixture| {
        fixture.initialised();
        as_administrator(&fixture, |session| {
            aes(session, KEK, &[]);
            p256(session, CHECKPOINT);
        });
        let (from, to) = (fixture.settings(), prepared(&fixture));
        let enclave = fixture.open();
        let keys = [1, 2, 3].map(|owner| {
            let key = new_key(owner);
            (key.id, create(&enclave, key))
        });
        enclave.close();
        let serves = |settings: &Settings| {
            let enclave = Enclave::open(settings.clone()).unwrap();
            assert!(keys.iter().all(|(id, public)| signs(&enclave, *id, public)));
            assert_eq!(enclave.keys().len(), 3);
            enclave.close();
        };
        let copy = |to: &Settings| Rewrap::open(&from, to).unwrap().copy(&Willing);
        for (kek, words) in [(None, "one key-encryption key"), (Some(KEK.into()), "one checkpoint key")] {
            let prepared_keys = PreparedKeys { kek, checkpoint_key: None };
            let refused = copy(&Settings { prepared_keys, ..from.clone() }).unwrap_err().to_string();
            assert!(refused.contains(words), "{refused}");
        }
        // Twice: the second attempt proves what the first one made.
        for _ in 0..2 {
            let copied = copy(&to).unwrap();
            assert_eq!(copied.keys(), 3);
            let keys = [RewrapSide::Old, RewrapSide::New].map(|side| copied.checkpoint_key(side));
            assert_ne!(keys[0], keys[1]);
            assert!(copied.sign(RewrapSide::New, b"a text").is_ok());
        }
        // Each side finds its records, though both have the same labels.
        serves(&from);
        serves(&to);
        for expected in [3, 0] {
            let destroyed = Rewrap::open(&from, &to).unwrap().destroy_old(&|_, _| {}).unwrap();
            assert_eq!(destroyed, expected);
            serves(&to);
        }
        assert!(matches!(Enclave::open(from).unwrap_err(), OpenError::KekMissing { .. }));
        assert_eq!(as_administrator(&fixture, keys_of), 3, "the administrator's keys alone are left");
    });
}
