//! Records under every scheme: each byte that is changed, two records that are swapped, a record of another variant.

use test_report::fault_injection_module;

use super::*;
use crate::arena::Arena;

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
            let kek = Kek::find(&session).unwrap().handle;
            let mut arena = Arena::new(SecretMemoryPolicy::PreferSecret).unwrap();
            let mut opens = |bytes: Vec<u8>| match WrappedKey::parse(&rehashed(bytes)) {
                Ok(record) => wrap::open(&open_session(), kek, &record, arena.parts().0).is_ok(),
                Err(_) => false,
            };
            let (one, other) = (record(&session, one.id), record(&session, other.id));
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
