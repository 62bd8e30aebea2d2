//! A token with objects of other applications, and a module that gives impossible lengths: neither ends the process, and no key
//! is lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::object::{Attribute, ObjectClass};
use cryptoki::session::{Session, UserType};
use hsm::*;

#[path = "support/token.rs"]
mod support;
use support::*;

/// Does something in the token as another application, which has the PIN.
#[allow(clippy::disallowed_methods, reason = "another application has a list of its own")]
fn as_another(fixture: &Fixture, work: impl FnOnce(&Session)) {
    let module = Pkcs11::new(SOFTHSM_MODULE).unwrap();
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let slot = module.get_slots_with_initialized_token().unwrap()[0];
    let session = module.open_rw_session(slot).unwrap();
    let pin = std::fs::read_to_string(fixture.directory.join("pin")).unwrap().trim().to_owned();
    session.login(UserType::User, Some(&pin.into())).unwrap();
    work(&session);
    session.logout().unwrap();
    drop(session);
    module.finalize().unwrap();
}

fn data(label: &str, application: &str, length: usize) -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::DATA),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Label(label.into()),
        Attribute::Application(application.into()),
        Attribute::Value(vec![7; length]),
    ]
}

#[test]
fn objects_of_others_are_counted_however_many_and_however_long_they_are() {
    isolated("objects_of_others_are_counted_however_many_and_however_long_they_are", |fixture| {
        fixture.initialised();
        let enclave = fixture.open();
        let key = new_key(1);
        let public = create(&enclave, key);
        enclave.close();
        let many = if std::env::var_os("AVS_KMS_LONG").is_some() { 10_000 } else { 300 };
        as_another(&fixture, |session| {
            for number in 0..many {
                session.create_object(&data(&format!("theirs {number}"), "another/1", 100)).unwrap();
            }
            // Longer than any attribute that this program reads, with an application and without one.
            for application in ["another/1", ""] {
                session.create_object(&data("a long one", application, 100_000)).unwrap();
            }
        });
        let enclave = fixture.open();
        assert!(signs(&enclave, key.id, &public));
        let findings = enclave.health().findings;
        assert_eq!((findings.foreign, findings.incomplete), (many + 2, 0), "{findings:?}");
        create(&enclave, new_key(1));
        enclave.close();
    });
}

#[test]
fn impossible_lengths_of_a_module_are_refused_and_end_no_process() {
    isolated("impossible_lengths_of_a_module_are_refused_and_end_no_process", |fixture| {
        fixture.initialised();
        let enclave = fixture.open();
        let key = new_key(1);
        let public = create(&enclave, key);
        enclave.close();
        let module = test_report::fault_injection_module(&fixture.directory);
        let settings = Settings { module, ..fixture.settings() };
        let rule = |text: &str| {
            let new = fixture.directory.join("rules.new");
            std::fs::write(&new, text).unwrap();
            std::fs::rename(new, fixture.directory.join("rules")).unwrap();
        };
        for call in ["C_GetAttributeValue", "C_Decrypt", "C_Encrypt"] {
            for length in ["18446744073709551614", "9223372036854775808", "1099511627776", "70000"] {
                rule(&format!("{call} length={length}"));
                // In this process: an allocation of that length would have ended it.
                let refused = Enclave::open(settings.clone());
                assert!(refused.is_err(), "{call} {length}");
            }
        }
        rule("");
        let enclave = Enclave::open(settings).unwrap();
        assert!(signs(&enclave, key.id, &public));
    });
}
