//! Devices that are not at hand, emulated by the fault-injecting module over SoftHSM: which scheme each gets, that it
//! signs right under it, before and after a restart, and that a worthless initialisation vector is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test
#![allow(clippy::wildcard_enum_match_arm, clippy::print_stdout)] // what was not expected is printed

use std::time::Duration;

use ark_bn254::{Fq, Fr, G1Affine};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{BigInteger, PrimeField};
use hsm::*;
use test_report::fault_injection_module;

#[path = "support/token.rs"]
mod support;
use support::*;

/// A token behind the device's rules, and the settings that reach it.
fn device(fixture: &Fixture, rules: &str) -> Settings {
    make_softhsm_token(&fixture.plan()).unwrap();
    rule(fixture, rules);
    Settings {
        module: fault_injection_module(&fixture.directory),
        canary_interval: Duration::from_secs(3600),
        ..fixture.settings()
    }
}

fn rule(fixture: &Fixture, rules: &str) {
    // A new name each time: two contents within one clock tick would look the same.
    let path = fixture.directory.join("rules.new");
    std::fs::write(&path, rules).unwrap();
    std::fs::rename(path, fixture.directory.join("rules")).unwrap();
}

fn fq(bytes: &[u8]) -> Fq {
    Fq::from_be_bytes_mod_order(bytes)
}

/// Signs `count` points h·G1 of known h: the product must be h·(public key), which arkworks computes.
fn signs_right(enclave: &Enclave, id: KeyId, key: &PublicKey, count: u64) {
    let bytes = key.g1.to_bytes();
    let public = G1Affine::new(fq(&bytes[..32]), fq(&bytes[32..]));
    let encoded = |point: G1Affine| {
        let coordinate = |value: Fq| value.into_bigint().to_bytes_be();
        let bytes = [coordinate(point.x), coordinate(point.y)].concat();
        G1Point::from_bytes(&bytes.try_into().unwrap()).unwrap()
    };
    for at in 1..=count {
        let h = Fr::from(at) * Fr::from(0x1234_5678_9abc_def1_u64);
        let point = encoded((G1Affine::generator() * h).into_affine());
        let product = run(enclave.scalar_mul(id, point, soon())).unwrap();
        assert_eq!(product, encoded((public * h).into_affine()), "signature {at}");
    }
}

fn walk(name: &str, rules: &str, scheme: &str, variant: &str) {
    walk_to(name, rules, (scheme, variant), "token", |_, _| {});
}

/// Init, two keys, 200 signatures against arkworks, restart, signatures again; then what `doctor` says.
fn walk_to(
    name: &str,
    rules: &str,
    (scheme, variant): (&str, &str),
    place: &str,
    then: impl FnOnce(&Fixture, &Settings),
) {
    isolated(name, |fixture| {
        let records = Directory::new(fixture.directory.join("records"));
        let settings = Settings { records: Some(records), ..device(&fixture, rules) };
        let report = Enclave::initialise(&settings).unwrap().report;
        assert_eq!((report.scheme, report.variant, report.location), (scheme, variant, place));
        let enclave = Enclave::open(settings.clone()).unwrap();
        let keys = [new_key(1), new_key(2)].map(|key| (key.id, create(&enclave, key)));
        signs_right(&enclave, keys[0].0, &keys[0].1, 200);
        enclave.close();
        let enclave = Enclave::open(settings.clone()).unwrap();
        assert_eq!(enclave.health().findings, Findings::default());
        for (id, key) in &keys {
            signs_right(&enclave, *id, key, 20);
        }
        enclave.close();
        let examined = Enclave::examine(&settings).unwrap();
        assert!(examined.is_fit(), "{examined:?}");
        assert_eq!((examined.scheme, examined.variant), (Some(scheme), Some(variant)));
        assert_eq!((examined.location, examined.keys), (Some(place), 2));
        then(&fixture, &settings);
    });
}

#[test]
fn aws_cloudhsm_chooses_the_vector_and_writes_it_back() {
    let name = "aws_cloudhsm_chooses_the_vector_and_writes_it_back";
    walk(name, "device:aws_cloudhsm slow", "S1", "token");
}

#[test]
fn aws_cloudhsm_puts_the_vector_in_front_by_its_own_mechanism() {
    let name = "aws_cloudhsm_puts_the_vector_in_front_by_its_own_mechanism";
    walk(name, "device:aws_cloudhsm_vendor slow", "S1", "cloudhsm");
}

#[test]
fn google_kmsp11_writes_the_vector_back_by_its_own_mechanism() {
    walk("google_kmsp11_writes_the_vector_back_by_its_own_mechanism", "device:kmsp11 slow", "S1", "cloudkms");
}

#[test]
fn luna_in_fips_mode_appends_the_vector() {
    walk("luna_in_fips_mode_appends_the_vector", "device:luna_fips slow", "S1", "appended");
}

#[test]
fn luna_in_fips_mode_of_newer_firmware_is_given_none() {
    let name = "luna_in_fips_mode_of_newer_firmware_is_given_none";
    walk(name, "device:luna_fips_793 slow", "S1", "appended-unasked");
}

#[test]
fn a_token_without_session_keys_is_probed_with_the_key_itself() {
    let name = "a_token_without_session_keys_is_probed_with_the_key_itself";
    walk(name, "session_keys_refused slow", "S1", "caller");
}

#[test]
fn a_token_whose_session_objects_are_private_to_their_session_is_served_by_its_own_key() {
    let name = "a_token_whose_session_objects_are_private_to_their_session_is_served_by_its_own_key";
    walk(name, "session_objects_private slow", "S1", "caller");
}

#[test]
fn yubihsm_2_derives_the_key_of_each_record() {
    walk("yubihsm_2_derives_the_key_of_each_record", "device:yubihsm2 slow", "S6", "hmac-sha256");
}

#[test]
fn yubihsm_2_has_public_data_objects_one_anchor_among_them() {
    let name = "yubihsm_2_has_public_data_objects_one_anchor_among_them";
    walk_to(name, "device:yubihsm2 slow", ("S6", "hmac-sha256"), "token", |_, settings| {
        let enclave = Enclave::open(settings.clone()).unwrap();
        assert!(enclave.keeps_anchors());
        for n in 1..=2 {
            enclave.replace_audit_anchor(vec![n; 300], soon()).unwrap();
        }
        assert_eq!(enclave.audit_anchors(soon()).unwrap(), [vec![2; 300]]);
        let id = enclave.keys()[0].id;
        run(enclave.destroy(id, soon())).unwrap();
        enclave.close();
        let enclave = Enclave::open(settings.clone()).unwrap();
        assert_eq!((enclave.keys().len(), enclave.health().findings), (1, Findings::default()));
        enclave.close();
    });
}

/// What a service without data objects in its token does with keys and anchors.
fn without_data_objects(name: &str, rules: &str, scheme: (&str, &str)) {
    walk_to(name, rules, scheme, "store", |fixture, settings| {
        let enclave = Enclave::open(settings.clone()).unwrap();
        assert!(!enclave.keeps_anchors());
        assert!(enclave.audit_anchors(soon()).unwrap().is_empty());
        let [first, second] = enclave.keys()[..] else { panic!("two keys") };
        run(enclave.destroy(first.id, soon())).unwrap();
        let gone = run(enclave.destroy(first.id, soon()));
        assert!(matches!(gone, Err(EnclaveError::UnknownKey)), "{gone:?}");
        enclave.close();
        let enclave = Enclave::open(settings.clone()).unwrap();
        assert_eq!(enclave.keys(), [second]);
        enclave.close();
        let examined = Enclave::examine(settings).unwrap();
        let anchor = examined.checks.iter().find(|check| check.found.contains("noticed only by")).unwrap();
        assert!(!anchor.passed && !anchor.fatal && examined.is_fit());
        // Nothing but the key-encryption key and the two halves of the checkpoint key is in the token.
        let files = std::fs::read_dir(fixture.token_directory()).unwrap();
        let objects = files.filter(|entry| {
            let path = entry.as_ref().unwrap().path();
            path.extension().is_some_and(|extension| extension == "object")
        });
        assert_eq!(objects.count(), 4, "three keys and token.object");
        // The token cannot tell whose the key-encryption key is: another installation does not take it unasked.
        let records = Directory::new(fixture.directory.join("other"));
        let other = Settings { records: Some(records), ..settings.clone() };
        let refused = Enclave::initialise(&other).unwrap_err();
        assert!(matches!(refused, OpenError::AlreadyInitialised { .. }), "{refused}");
        // And a place without the canary is not this installation's.
        let refused = Enclave::open(other).unwrap_err();
        assert!(matches!(refused, OpenError::CanaryMissing { count: 0 }), "{refused}");
    });
}

#[test]
fn aws_cloudhsm_has_no_data_objects_and_the_records_are_in_the_store() {
    let name = "aws_cloudhsm_has_no_data_objects_and_the_records_are_in_the_store";
    without_data_objects(name, "device:aws_cloudhsm slow\ndata_objects_refused slow", ("S1", "token"));
}

#[test]
fn google_kmsp11_makes_no_objects_and_the_records_are_in_the_store() {
    let name = "google_kmsp11_makes_no_objects_and_the_records_are_in_the_store";
    without_data_objects(name, "device:kmsp11 slow\ndata_objects_refused rv=0x54", ("S1", "cloudkms"));
}

#[test]
fn nss_refuses_the_value_of_the_class_and_the_records_are_in_the_store() {
    let name = "nss_refuses_the_value_of_the_class_and_the_records_are_in_the_store";
    without_data_objects(name, "device:key_wrap slow\ndata_objects_refused slow", ("S2", "kw"));
}

#[test]
fn a_token_without_aes_gcm_derives_the_key_of_each_record() {
    let name = "a_token_without_aes_gcm_derives_the_key_of_each_record";
    walk(name, "device:no_gcm slow", "S6", "hmac-sha256");
}

#[test]
fn a_token_with_key_wrap_alone_wraps_by_rfc_3394() {
    walk("a_token_with_key_wrap_alone_wraps_by_rfc_3394", "device:key_wrap slow", "S2", "kw");
}

#[test]
fn a_token_with_padded_key_wrap_alone_wraps_by_rfc_5649() {
    let name = "a_token_with_padded_key_wrap_alone_wraps_by_rfc_5649";
    walk(name, "device:key_wrap_padded slow", "S2", "kwp");
}

#[test]
fn a_token_without_symmetric_mechanisms_opens_what_its_public_key_sealed() {
    let name = "a_token_without_symmetric_mechanisms_opens_what_its_public_key_sealed";
    walk(name, "device:nethsm slow", "S5", "oaep-sha1");
}

#[test]
fn a_token_without_symmetric_mechanisms_and_without_keys_that_sign_is_refused_with_the_reason() {
    let name = "a_token_without_symmetric_mechanisms_and_without_keys_that_sign_is_refused_with_the_reason";
    isolated(name, |fixture| {
        let settings = device(&fixture, "device:nethsm slow\nsigns_nothing slow");
        match Enclave::initialise(&settings) {
            Err(OpenError::CheckpointKey { problem, .. }) => {
                assert!(problem.contains("scheme S5 must be signed by a key pair in the token"), "{problem}");
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_demanded_scheme_is_taken_or_refused_and_a_token_keeps_its_own() {
    let name = "a_demanded_scheme_is_taken_or_refused_and_a_token_keeps_its_own";
    isolated(name, |fixture| {
        let settings = device(&fixture, "");
        let demand = |scheme| Settings { scheme, ..settings.clone() };
        match Enclave::initialise(&demand(SchemeChoice::S2)) {
            Err(OpenError::TokenUnfit { problem }) => {
                assert!(problem.contains("S2/kw: ") && !problem.contains("S1"), "{problem}");
            }
            other => panic!("{other:?}"),
        }
        let report = Enclave::initialise(&demand(SchemeChoice::S6)).unwrap().report;
        assert_eq!(report.scheme, "S6");
        for other in [SchemeChoice::S1, SchemeChoice::S2] {
            let refused = Enclave::open(demand(other)).unwrap_err();
            assert!(
                matches!(&refused, OpenError::SchemeRefused { found } if found == "S6/hmac-sha256"),
                "{refused}"
            );
        }
        for same in [SchemeChoice::Auto, SchemeChoice::S6] {
            let enclave = Enclave::open(demand(same)).unwrap();
            create(&enclave, new_key(1));
            enclave.close();
        }
        let examined = Enclave::examine(&settings).unwrap();
        assert!(examined.is_fit(), "{examined:?}");
        assert_eq!((examined.keys, examined.scheme), (2, Some("S6")));
    });
}

#[test]
fn a_token_that_derives_the_same_key_twice_makes_no_record() {
    let name = "a_token_that_derives_the_same_key_twice_makes_no_record";
    isolated(name, |fixture| {
        let settings = Settings { scheme: SchemeChoice::S6, ..device(&fixture, "C_Sign fill=0") };
        match Enclave::initialise(&settings) {
            Err(OpenError::TokenUnfit { problem }) => {
                assert!(problem.contains("one key for two"), "{problem}")
            }
            other => panic!("{other:?}"),
        }
        rule(&fixture, "");
        Enclave::initialise(&settings).unwrap();
        let enclave = Enclave::open(settings).unwrap();
        // After the canary of the creation: its two derivations are one.
        rule(&fixture, "C_Sign fill=0 after=2");
        let refused = run(enclave.create(new_key(1), soon()));
        assert!(matches!(refused, Err(EnclaveError::TokenUnavailable { .. })), "{refused:?}");
        rule(&fixture, "");
        assert!(enclave.keys().is_empty());
        let (key, deadline) = (new_key(1), soon());
        // The canary failed too: the token is reconnected.
        while run(enclave.create(key, soon())).is_err() {
            assert!(std::time::Instant::now() < deadline, "it did not recover");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(signs(&enclave, key.id, &enclave.public_key(key.id).unwrap()));
    });
}

#[test]
fn an_init_that_finds_no_scheme_leaves_nothing_and_names_each_that_it_tried() {
    let name = "an_init_that_finds_no_scheme_leaves_nothing_and_names_each_that_it_tried";
    isolated(name, |fixture| {
        let nothing = "C_EncryptInit rv=0x70\nC_SignInit rv=0x70\nC_DecryptInit rv=0x70\n";
        for rules in [nothing.to_owned(), format!("{nothing}session_keys_refused slow")] {
            let settings = device(&fixture, &rules);
            match Enclave::initialise(&settings) {
                Err(OpenError::TokenUnfit { problem }) => {
                    assert!(problem.contains("S1/caller: "), "{problem}");
                    assert!(problem.contains("CKR_MECHANISM_INVALID"), "{problem}");
                }
                other => panic!("{other:?}"),
            }
            rule(&fixture, "");
            assert_eq!(
                std::fs::read_dir(fixture.token_directory()).unwrap().count(),
                OBJECTS_OF_AN_EMPTY_TOKEN
            );
        }
        Enclave::initialise(&fixture.settings()).unwrap();
    });
}

/// SoftHSM's files of a token without objects: token.object, token.lock, generation.
const OBJECTS_OF_AN_EMPTY_TOKEN: usize = 3;

#[test]
fn a_vector_of_zeros_or_one_that_repeats_is_refused_when_the_token_is_probed() {
    let name = "a_vector_of_zeros_or_one_that_repeats_is_refused_when_the_token_is_probed";
    isolated(name, |fixture| {
        let tried = ["aws_cloudhsm", "aws_cloudhsm_vendor", "kmsp11", "luna_fips", "luna_fips_793"];
        for device_name in tried {
            for (broken, said) in [("iv_zeros", "is zeros"), ("iv_repeats", "vector twice")] {
                let rules = format!("device:{device_name} slow\n{broken} slow\n");
                let settings = Settings { scheme: SchemeChoice::S1, ..device(&fixture, &rules) };
                match Enclave::initialise(&settings) {
                    Err(OpenError::TokenUnfit { problem }) => assert!(problem.contains(said), "{problem}"),
                    other => panic!("{device_name} {broken}: {other:?}"),
                }
            }
        }
    });
}

#[test]
fn a_vector_that_another_record_has_makes_no_record_also_after_a_restart() {
    let name = "a_vector_that_another_record_has_makes_no_record_also_after_a_restart";
    isolated(name, |fixture| {
        let settings = device(&fixture, "device:luna_fips slow");
        Enclave::initialise(&settings).unwrap();
        let enclave = Enclave::open(settings.clone()).unwrap();
        let broken = |rules: &str, said: &str, enclave: &Enclave| {
            rule(&fixture, &format!("device:luna_fips slow\n{rules}"));
            let refused = run(enclave.create(new_key(1), soon()));
            let Err(EnclaveError::TokenUnavailable { source: Some(error), .. }) = refused else {
                panic!("{rules}: {refused:?}");
            };
            assert!(error.to_string().contains(said), "{error}");
            rule(&fixture, "device:luna_fips slow");
        };
        broken("iv_zeros slow", "is zeros", &enclave);
        rule(&fixture, "device:luna_fips slow\niv_repeats slow");
        // The first time no other record has it.
        let first = new_key(1);
        let key = create(&enclave, first);
        broken("iv_repeats slow", "vector again", &enclave);
        enclave.close();
        let enclave = Enclave::open(settings).unwrap();
        broken("iv_repeats slow", "vector again", &enclave);
        assert_eq!(enclave.keys().len(), 1);
        assert!(signs(&enclave, first.id, &key));
        assert!(signs(&enclave, first.id, &create(&enclave, first)));
    });
}
