//! The place of the wrapped records: chosen at `init`, found at each start, and refused where it is not the one that is
//! demanded. Edits of a place outside the token are here, too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test
#![allow(clippy::wildcard_enum_match_arm, clippy::print_stdout)] // what was not expected is printed

use std::fs;
use std::sync::Arc;

use hsm::*;
use test_report::fault_injection_module;

#[path = "support/token.rs"]
mod support;
use support::*;

/// A token behind the fault-injecting module, with a directory beside it.
fn beside(fixture: &Fixture) -> (Settings, Arc<Directory>) {
    make_softhsm_token(&fixture.plan()).unwrap();
    let records = Directory::new(fixture.directory.join("records"));
    let module = fault_injection_module(&fixture.directory);
    (Settings { module, records: Some(records.clone()), ..fixture.settings() }, records)
}

fn at(location: LocationChoice, settings: &Settings) -> Settings {
    Settings { location, ..settings.clone() }
}

fn rule(fixture: &Fixture, rules: &str) {
    let path = fixture.directory.join("rules.new");
    fs::write(&path, rules).unwrap();
    fs::rename(path, fixture.directory.join("rules")).unwrap();
}

#[test]
fn a_demanded_place_is_taken_and_another_is_refused_by_name() {
    isolated("a_demanded_place_is_taken_and_another_is_refused_by_name", |fixture| {
        let (settings, records) = beside(&fixture);
        let in_store = at(LocationChoice::Store, &settings);
        let none = Settings { records: None, ..in_store.clone() };
        assert!(matches!(Enclave::initialise(&none), Err(OpenError::Settings(_))));
        let report = Enclave::initialise(&in_store).unwrap().report;
        assert_eq!(report.location, "store");
        let enclave = Enclave::open(in_store).unwrap();
        let key = new_key(1);
        let public = create(&enclave, key);
        enclave.close();
        let refused = Enclave::open(at(LocationChoice::Token, &settings)).unwrap_err();
        assert!(matches!(refused, OpenError::LocationRefused("store")), "{refused}");
        let enclave = Enclave::open(settings.clone()).unwrap();
        assert!(signs(&enclave, key.id, &public));
        // This token has data objects: the anchor is there, although the records are not.
        assert!(enclave.keeps_anchors());
        enclave.replace_audit_anchor(vec![7; 300], soon()).unwrap();
        enclave.close();
        // An init with another store, or none, does not take the key-encryption key of this one.
        let other = Directory::new(fixture.directory.join("other"));
        for records in [Some(other as Arc<dyn Records + Send + Sync>), None] {
            let refused = Enclave::initialise(&Settings { records, ..settings.clone() }).unwrap_err();
            let OpenError::AlreadyInitialised { found } = refused else { panic!("{refused}") };
            assert_eq!(found, "audit-anchor/1");
        }
        assert!(records.file("bn254-canary/1").exists());
    });
}

#[test]
fn records_in_the_token_are_found_there_and_two_places_are_refused() {
    isolated("records_in_the_token_are_found_there_and_two_places_are_refused", |fixture| {
        let (settings, records) = beside(&fixture);
        assert_eq!(Enclave::initialise(&settings).unwrap().report.location, "token");
        let refused = Enclave::open(at(LocationChoice::Store, &settings)).unwrap_err();
        assert!(matches!(refused, OpenError::LocationRefused("token")), "{refused}");
        Enclave::open(at(LocationChoice::Token, &settings)).unwrap().close();
        // An edit of the store keeps the service from starting, and does no more.
        fs::write(records.file("bn254-canary/1"), b"anything").unwrap();
        for location in [LocationChoice::Auto, LocationChoice::Token, LocationChoice::Store] {
            let refused = Enclave::open(at(location, &settings)).unwrap_err();
            assert!(matches!(refused, OpenError::TwoPlaces), "{refused}");
        }
        let examined = Enclave::examine(&settings).unwrap();
        assert!(!examined.is_fit(), "{examined:?}");
    });
}

#[test]
fn a_token_that_must_have_the_records_and_takes_none_is_left_as_it_was() {
    isolated("a_token_that_must_have_the_records_and_takes_none_is_left_as_it_was", |fixture| {
        let (settings, records) = beside(&fixture);
        rule(&fixture, "data_objects_refused slow");
        let before = fs::read_dir(fixture.token_directory()).unwrap().count();
        for settings in [at(LocationChoice::Token, &settings), Settings { records: None, ..settings.clone() }]
        {
            let refused = Enclave::initialise(&settings).unwrap_err();
            assert!(matches!(refused, OpenError::NoDataObjects { .. }), "{refused}");
        }
        // A token that is full, or in trouble, does not send the records elsewhere.
        for code in ["0x31", "0x30", "0x05"] {
            rule(&fixture, &format!("C_CreateObject rv={code}"));
            let refused = Enclave::initialise(&settings).unwrap_err();
            assert!(matches!(refused, OpenError::Token(_)), "{refused}");
        }
        rule(&fixture, "");
        assert_eq!(fs::read_dir(fixture.token_directory()).unwrap().count(), before);
        assert_eq!(fs::read_dir(&records.0).unwrap().count(), 0);
    });
}

#[test]
fn each_template_that_a_token_takes_does_and_only_refusals_of_it_lead_to_the_next() {
    let name = "each_template_that_a_token_takes_does_and_only_refusals_of_it_lead_to_the_next";
    isolated(name, |fixture| {
        const CKA_MODIFIABLE: &str = "0x170";
        const CKA_PRIVATE: &str = "0x2";
        let (settings, _) = beside(&fixture);
        rule(&fixture, &format!("template:C_CreateObject refuse={CKA_PRIVATE}"));
        assert_eq!(Enclave::initialise(&settings).unwrap().report.location, "token");
        for refused in [CKA_MODIFIABLE, CKA_PRIVATE] {
            rule(&fixture, &format!("template:C_CreateObject refuse={refused}"));
            let enclave = Enclave::open(settings.clone()).unwrap();
            let key = new_key(1);
            let public = create(&enclave, key);
            enclave.replace_audit_anchor(vec![1; 300], soon()).unwrap();
            assert!(signs(&enclave, key.id, &public));
            // Full is full, whichever template.
            rule(&fixture, "C_CreateObject rv=0x31");
            let full = run(enclave.create(new_key(2), soon()));
            assert!(matches!(full, Err(EnclaveError::TokenFull { .. })), "{full:?}");
            rule(&fixture, "");
            enclave.close();
        }
        assert_eq!(Enclave::open(settings).unwrap().keys().len(), 2);
    });
}

/// Two keys in a directory, and what an edit of it makes of them.
fn edited(name: &str, edit: impl FnOnce(&Directory, [NewKey; 2]), check: impl FnOnce(&Enclave, [NewKey; 2])) {
    isolated(name, |fixture| {
        let (settings, records) = beside(&fixture);
        let settings = at(LocationChoice::Store, &settings);
        Enclave::initialise(&settings).unwrap();
        let enclave = Enclave::open(settings.clone()).unwrap();
        let keys = [new_key(1), new_key(2)];
        for key in keys {
            create(&enclave, key);
        }
        enclave.close();
        edit(&records, keys);
        let enclave = Enclave::open(settings).unwrap();
        check(&enclave, keys);
        enclave.close();
    });
}

fn file(records: &Directory, key: &NewKey) -> std::path::PathBuf {
    records.file(&format!("bn254/{}", key.id))
}

fn is_refused(enclave: &Enclave, key: &NewKey) {
    let answer = run(enclave.scalar_mul(key.id, G1Point::generator(), soon()));
    assert!(matches!(answer, Err(EnclaveError::KeyUnreadable)), "{answer:?}");
    assert!(enclave.health().findings.unreadable.contains(&key.id));
}

#[test]
fn swapped_records_serve_neither_key() {
    let swap = |records: &Directory, keys: [NewKey; 2]| {
        let [one, two] = keys.map(|key| file(records, &key));
        let other = fs::read(&two).unwrap();
        fs::copy(one, &two).unwrap();
        fs::write(file(records, &keys[0]), other).unwrap();
    };
    edited("swapped_records_serve_neither_key", swap, |enclave, keys| {
        keys.iter().for_each(|key| is_refused(enclave, key));
    });
}

#[test]
fn a_record_under_another_label_is_no_other_key() {
    let other = KeyId::random().unwrap();
    let copy = move |records: &Directory, keys: [NewKey; 2]| {
        let copied = fs::read(file(records, &keys[0])).unwrap();
        fs::write(records.file(&format!("bn254/{other}")), &copied).unwrap();
        fs::write(records.file("bn254/no id"), copied).unwrap();
    };
    edited("a_record_under_another_label_is_no_other_key", copy, |enclave, keys| {
        assert_eq!(enclave.keys().len(), 2);
        let findings = enclave.health().findings;
        assert_eq!((findings.unreadable.len(), findings.incomplete), (1, 1), "{findings:?}");
        // The key itself signs.
        run(enclave.scalar_mul(keys[0].id, G1Point::generator(), soon())).unwrap();
    });
}

#[test]
fn a_deleted_record_is_a_missing_key_and_the_others_sign() {
    let delete = |records: &Directory, keys: [NewKey; 2]| fs::remove_file(file(records, &keys[0])).unwrap();
    edited("a_deleted_record_is_a_missing_key_and_the_others_sign", delete, |enclave, keys| {
        let answer = run(enclave.scalar_mul(keys[0].id, G1Point::generator(), soon()));
        assert!(matches!(answer, Err(EnclaveError::UnknownKey)), "{answer:?}");
        run(enclave.scalar_mul(keys[1].id, G1Point::generator(), soon())).unwrap();
    });
}

#[test]
fn a_torn_record_and_one_of_another_installation_are_refused_alone() {
    let edit = |records: &Directory, keys: [NewKey; 2]| {
        let mut torn = fs::read(file(records, &keys[0])).unwrap();
        torn.truncate(200);
        fs::write(file(records, &keys[0]), torn).unwrap();
    };
    edited("a_torn_record_and_one_of_another_installation_are_refused_alone", edit, |enclave, keys| {
        is_refused(enclave, &keys[0]);
        run(enclave.scalar_mul(keys[1].id, G1Point::generator(), soon())).unwrap();
        // It is not overwritten by a creation, and it can be destroyed.
        let again = run(enclave.create(keys[0], soon()));
        assert!(matches!(again, Err(EnclaveError::KeyUnreadable)), "{again:?}");
        run(enclave.destroy(keys[0].id, soon())).unwrap();
        create(enclave, keys[0]);
    });
}

#[test]
fn a_place_that_fails_makes_no_key_and_costs_no_reconnection() {
    isolated("a_place_that_fails_makes_no_key_and_costs_no_reconnection", |fixture| {
        let (settings, records) = beside(&fixture);
        let settings = at(LocationChoice::Store, &settings);
        Enclave::initialise(&settings).unwrap();
        let enclave = Enclave::open(settings).unwrap();
        let key = new_key(1);
        let public = create(&enclave, key);
        let away = fixture.directory.join("away");
        fs::rename(&records.0, &away).unwrap();
        let failed = run(enclave.create(new_key(2), soon()));
        assert!(matches!(failed, Err(EnclaveError::Records(_))), "{failed:?}");
        // Signing needs the index alone, and the canary the token alone.
        assert!(signs(&enclave, key.id, &public));
        assert_eq!((enclave.health().recoveries, enclave.health().token), (0, TokenState::Ready));
        fs::rename(&away, &records.0).unwrap();
        create(&enclave, new_key(2));
        enclave.close();
    });
}

#[test]
fn a_checkpoint_key_in_software_is_beside_the_other_records_and_an_edit_of_it_stops_the_start() {
    let name = "a_checkpoint_key_in_software_is_beside_the_other_records_and_an_edit_of_it_stops_the_start";
    isolated(name, |fixture| {
        let (settings, records) = beside(&fixture);
        rule(&fixture, "no_key_pairs slow\ndata_objects_refused slow");
        let report = Enclave::initialise(&settings).unwrap().report;
        assert_eq!(report.location, "store");
        assert!(report.checkpoint_key.contains("in software"), "{report:?}");
        let enclave = Enclave::open(settings.clone()).unwrap();
        let public = enclave.checkpoint_key().unwrap();
        enclave.sign_checkpoint(b"a checkpoint", soon()).unwrap();
        enclave.close();
        let file = records.file("audit-checkpoint-seed/1");
        let good = fs::read(&file).unwrap();
        let store_key = fs::read(records.file("store-key/1")).unwrap();
        for edited in [good[..good.len() / 2].to_vec(), store_key] {
            fs::write(&file, edited).unwrap();
            let refused = Enclave::open(settings.clone()).unwrap_err();
            assert!(matches!(refused, OpenError::CheckpointKey { .. }), "{refused}");
        }
        fs::remove_file(&file).unwrap();
        let refused = Enclave::open(settings.clone()).unwrap_err();
        assert!(matches!(refused, OpenError::CheckpointKey { .. }), "{refused}");
        fs::write(&file, good).unwrap();
        let enclave = Enclave::open(settings).unwrap();
        assert_eq!(enclave.checkpoint_key().unwrap(), public);
        enclave.close();
    });
}
