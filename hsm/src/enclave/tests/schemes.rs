//! Records under every scheme: each byte that is changed, two records that are swapped, a record of another variant.

use test_report::fault_injection_module;

use super::*;
use crate::arena::Arena;
use crate::token::checkpoint_key::CheckpointSigner;
use crate::token::place::Place;

/// A token behind the fault-injecting module, initialised under its rules.
fn initialised(fixture: &Fixture, rules: &str, scheme: SchemeChoice) -> Settings {
    make_softhsm_token(&fixture.plan()).unwrap();
    rule(fixture, rules);
    let module = fault_injection_module(&fixture.directory);
    let settings = Settings { module, scheme, ..fixture.settings() };
    Enclave::initialise(&settings).unwrap();
    settings
}

fn rule(fixture: &Fixture, rules: &str) {
    let path = fixture.directory.join("rules.new");
    std::fs::write(&path, rules).unwrap();
    std::fs::rename(path, fixture.directory.join("rules")).unwrap();
}

fn opens_only_what_was_sealed(name: &str, rules: &str, scheme: SchemeChoice, called: &str) {
    isolated(&format!("schemes::{name}"), |fixture| {
        let settings = initialised(&fixture, rules, scheme);
        let enclave = Enclave::open(settings.clone()).unwrap();
        let (one, other) = (new_key(1), new_key(1));
        create(&enclave, one);
        create(&enclave, other);
        enclave.close();
        meddle_by(&settings, |open_session| {
            let session = open_session();
            let kek = Kek::find(&session).unwrap();
            let mut arena = Arena::new(SecretMemoryPolicy::PreferSecret).unwrap();
            let (one, other) = (record(&session, one.id), record(&session, other.id));
            let signer =
                CheckpointSigner::find(&session, &Place::in_token(), &kek, one.header.scheme).unwrap();
            let mut opens = |bytes: Vec<u8>| match WrappedKey::parse(&rehashed(bytes)) {
                Ok(record) => {
                    signer.endorses(&record)
                        && wrap::open(&open_session(), kek.handle, &record, arena.parts().0).is_ok()
                }
                Err(_) => false,
            };
            assert_eq!(one.header.scheme.to_string(), called);
            let bytes = one.encoded();
            assert!(opens(bytes.to_vec()));
            for at in 0..bytes.len() - 32 {
                for bit in [1, 0x80] {
                    let mut changed = bytes.to_vec();
                    changed[at] ^= bit;
                    assert!(!opens(changed), "{called}: byte {at}");
                }
            }
            // Each under the other's header.
            let header = one.aad().len() - 16;
            for (this, that) in [(bytes, other.encoded()), (other.encoded(), bytes)] {
                assert!(!opens([&this[..header], &that[header..]].concat()), "{called}");
            }
        });
    });
}

#[test]
fn s1_opens_only_what_it_sealed() {
    opens_only_what_was_sealed("s1_opens_only_what_it_sealed", "", SchemeChoice::S1, "S1/caller");
}

#[test]
fn s1_with_a_vector_written_back_opens_only_what_it_sealed() {
    let name = "s1_with_a_vector_written_back_opens_only_what_it_sealed";
    opens_only_what_was_sealed(name, "device:aws_cloudhsm slow", SchemeChoice::S1, "S1/token");
}

#[test]
fn s1_with_a_vector_appended_opens_only_what_it_sealed() {
    let name = "s1_with_a_vector_appended_opens_only_what_it_sealed";
    opens_only_what_was_sealed(name, "device:luna_fips slow", SchemeChoice::S1, "S1/appended");
}

#[test]
fn s1_with_a_vector_in_front_opens_only_what_it_sealed() {
    let name = "s1_with_a_vector_in_front_opens_only_what_it_sealed";
    opens_only_what_was_sealed(name, "device:aws_cloudhsm_vendor slow", SchemeChoice::S1, "S1/cloudhsm");
}

#[test]
fn s1_with_kmsp11s_mechanism_opens_only_what_it_sealed() {
    let name = "s1_with_kmsp11s_mechanism_opens_only_what_it_sealed";
    opens_only_what_was_sealed(name, "device:kmsp11 slow", SchemeChoice::S1, "S1/cloudkms");
}

#[test]
fn s2_opens_only_what_it_sealed() {
    let name = "s2_opens_only_what_it_sealed";
    opens_only_what_was_sealed(name, "device:key_wrap slow", SchemeChoice::S2, "S2/kw");
}

#[test]
fn s2_padded_opens_only_what_it_sealed() {
    let name = "s2_padded_opens_only_what_it_sealed";
    opens_only_what_was_sealed(name, "device:key_wrap_padded slow", SchemeChoice::S2, "S2/kwp");
}

#[test]
fn s5_opens_only_what_it_sealed() {
    opens_only_what_was_sealed("s5_opens_only_what_it_sealed", "", SchemeChoice::S5, "S5/oaep-sha1");
}

#[test]
fn s5_with_a_checkpoint_key_of_rsa_opens_only_what_it_sealed() {
    let name = "s5_with_a_checkpoint_key_of_rsa_opens_only_what_it_sealed";
    opens_only_what_was_sealed(name, "no_ec slow", SchemeChoice::S5, "S5/oaep-sha1");
}

/// The public key is enough to seal a sound record.
#[test]
fn a_record_that_the_checkpoint_key_did_not_sign_is_refused() {
    let name = "a_record_that_the_checkpoint_key_did_not_sign_is_refused";
    isolated(&format!("schemes::{name}"), |fixture| {
        let settings = initialised(&fixture, "", SchemeChoice::S5);
        let enclave = Enclave::open(settings.clone()).unwrap();
        let (victim, other) = (new_key(1), new_key(1));
        create(&enclave, victim);
        let public = create(&enclave, other);
        enclave.close();
        let sound = meddle_by(&settings, |session| record(&session(), victim.id).encoded().to_vec());
        let forge = |signature_of: Option<KeyId>| {
            meddle_by(&settings, |open_session| {
                let session = open_session();
                let kek = Kek::find(&session).unwrap().handle;
                let mut arena = Arena::new(SecretMemoryPolicy::PreferSecret).unwrap();
                let header = record(&session, other.id).header;
                let header = wrap::Header { key: victim.id, ..header };
                let mut scalar =
                    wrap::open(&session, kek, &record(&session, other.id), arena.parts().0).unwrap();
                let mut forged = wrap::seal(&session, kek, header, &mut scalar).unwrap();
                drop(scalar);
                assert!(wrap::open(&session, kek, &forged, arena.parts().0).is_ok(), "it is sound by itself");
                if let Some(from) = signature_of {
                    let signature = record(&session, from).endorsement(64).unwrap().to_vec();
                    forged = forged.endorsed(&signature).unwrap();
                }
                replace(&session, victim.id, forged.encoded());
            });
        };
        for signature_of in [None, Some(other.id)] {
            forge(signature_of);
            let enclave = Enclave::open(settings.clone()).unwrap();
            assert_eq!(enclave.public_key(victim.id), None);
            assert_eq!(enclave.health().findings.unreadable, [victim.id]);
            assert!(matches!(run(enclave.create(victim, soon())), Err(EnclaveError::KeyUnreadable)));
            assert!(signs(&enclave, other.id, &public));
            enclave.close();
        }
        // The canary and the store key, unsigned.
        for label in ["bn254-canary/1", "store-key/1"] {
            let before = meddle_by(&settings, |session| {
                let session = session();
                let place = Place::in_token();
                let records = place.records(&session);
                let before = wrap::find_labelled(&*records, label).unwrap().pop().unwrap().unwrap();
                records.remove(label).unwrap();
                put(&session, label, "avs-kms/1", before.endorsed(&[]).unwrap().encoded());
                before
            });
            assert!(Enclave::open(settings.clone()).is_err(), "{label}");
            meddle_by(&settings, |session| {
                let session = session();
                Place::in_token().records(&session).remove(label).unwrap();
                put(&session, label, "avs-kms/1", before.encoded());
            });
        }
        meddle_by(&settings, |session| replace(&session(), victim.id, &sound));
        let enclave = Enclave::open(settings).unwrap();
        assert_eq!(enclave.keys().len(), 2);
    });
}

#[test]
fn s6_opens_only_what_it_sealed() {
    opens_only_what_was_sealed("s6_opens_only_what_it_sealed", "", SchemeChoice::S6, "S6/hmac-sha256");
}

#[test]
fn a_sound_record_of_another_variant_is_refused() {
    let name = "a_sound_record_of_another_variant_is_refused";
    isolated(&format!("schemes::{name}"), |fixture| {
        let device = "device:aws_cloudhsm slow";
        let settings = initialised(&fixture, device, SchemeChoice::Auto);
        let enclave = Enclave::open(settings.clone()).unwrap();
        let (victim, other) = (new_key(1), new_key(1));
        create(&enclave, victim);
        let public = create(&enclave, other);
        enclave.close();
        // Without the device's rules the same key encrypts with a vector of the caller.
        rule(&fixture, "");
        meddle_by(&settings, |open_session| {
            let session = open_session();
            let kek = Kek::find(&session).unwrap().handle;
            let mut arena = Arena::new(SecretMemoryPolicy::PreferSecret).unwrap();
            let sound = record(&session, victim.id);
            assert_eq!(sound.header.scheme.to_string(), "S1/token");
            let mut scalar = wrap::open(&session, kek, &sound, arena.parts().0).unwrap();
            let header = wrap::Header { scheme: wrap::Scheme::ALL[0], ..sound.header };
            let forged = wrap::seal(&session, kek, header, &mut scalar).unwrap();
            drop(scalar);
            assert_eq!(forged.header.scheme.to_string(), "S1/caller");
            assert!(wrap::open(&session, kek, &forged, arena.parts().0).is_ok(), "it is sound by itself");
            replace(&session, victim.id, forged.encoded());
        });
        rule(&fixture, device);
        let enclave = Enclave::open(settings).unwrap();
        assert_eq!(enclave.public_key(victim.id), None);
        assert_eq!(enclave.keys().len(), 1);
        assert!(signs(&enclave, other.id, &public));
    });
}
