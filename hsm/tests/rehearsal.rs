//! Rehearsals of `init`, and inits that fail: what each tells, and that nothing of it stays in the token.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test
#![allow(clippy::wildcard_enum_match_arm, clippy::print_stdout)] // what was not expected is printed

use std::os::unix::process::ExitStatusExt;

use hsm::*;

#[path = "support/token.rs"]
mod support;
use support::*;

/// The settings of a token behind the fault-injecting module.
fn behind(fixture: &Fixture) -> Settings {
    make_softhsm_token(&fixture.plan()).unwrap();
    let records = Directory::new(fixture.directory.join("records"));
    let module = test_report::fault_injection_module(&fixture.directory);
    Settings { module, records: Some(records), ..fixture.settings() }
}

fn rule(fixture: &Fixture, text: &str) {
    let new = fixture.directory.join("rules.new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, fixture.directory.join("rules")).unwrap();
}

/// Objects in the token and values outside.
fn left(fixture: &Fixture) -> usize {
    let count = |path| std::fs::read_dir(path).map_or(0, Iterator::count);
    // SoftHSM's files of a token without objects: token.object, token.lock, generation. Each object has a lock beside it,
    // which stays.
    let files = std::fs::read_dir(fixture.token_directory()).unwrap();
    let objects = files.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name().to_string_lossy().into_owned();
        name.ends_with(".object") && name != "token.object"
    });
    objects.count() + count(fixture.directory.join("records"))
}

fn failed(report: &Diagnostics) -> Vec<String> {
    let failed = report.checks.iter().filter(|check| check.fatal && !check.passed);
    failed.map(|check| format!("{}: {}", check.what, check.found)).collect()
}

/// Devices that `init` serves, with what it chooses there.
const DEVICES: [(&str, &str, &str, &str); 7] = [
    ("", "S1", "token", "Ed25519 in the token"),
    ("session_keys_refused slow", "S1", "token", "Ed25519 in the token"),
    ("session_objects_private slow", "S1", "token", "Ed25519 in the token"),
    ("data_objects_refused slow", "S1", "store", "Ed25519 in the token"),
    ("no_key_pairs slow", "S1", "token", "Ed25519 in software, sealed by the token"),
    ("device:yubihsm2 slow", "S6", "token", "Ed25519 in the token"),
    ("device:nethsm slow\ndata_objects_refused slow", "S5", "store", "Ed25519 in the token"),
];

#[test]
fn a_rehearsal_names_what_init_chooses_and_leaves_nothing() {
    isolated("a_rehearsal_names_what_init_chooses_and_leaves_nothing", |fixture| {
        for (rules, scheme, location, checkpoint_key) in DEVICES {
            let settings = behind(&fixture);
            rule(&fixture, rules);
            let report = Enclave::rehearse(&settings, None).unwrap();
            assert!(report.is_fit(), "{rules}: {:?}", failed(&report));
            let chosen = (report.scheme, report.location, report.checkpoint_key_kind);
            assert_eq!(chosen, (Some(scheme), Some(location), Some(checkpoint_key)), "{rules}");
            assert_eq!(left(&fixture), 0, "{rules}");
            let made = Enclave::initialise(&settings).unwrap().report;
            assert_eq!((made.scheme, made.location, made.checkpoint_key), (scheme, location, checkpoint_key));
            let enclave = Enclave::open(settings.clone()).unwrap();
            let key = new_key(1);
            let public = create(&enclave, key);
            assert!(signs(&enclave, key.id, &public));
            enclave.close();
            // A token in use is not free, and a rehearsal changes nothing in it.
            let before = left(&fixture);
            let refused = Enclave::rehearse(&settings, None).unwrap();
            assert!(failed(&refused)[0].contains("initialised already"), "{:?}", failed(&refused));
            assert_eq!(left(&fixture), before);
            for place in ["tokens", "records"] {
                std::fs::remove_dir_all(fixture.directory.join(place)).unwrap();
            }
        }
    });
}

/// Faults at any step of an init, with a part of what is said of them.
const FAULTS: [(&str, &str); 9] = [
    ("C_GenerateKey rv=0x31 after=1", "the token is full"),
    ("C_GenerateKeyPair rv=0x32", "the token was removed"),
    ("data_objects_refused slow", "keys.location"),
    ("C_CreateObject rv=0x31 after=1", "the token is full"),
    ("C_CreateObject rv=0x31 after=2", "the token is full"),
    ("C_CreateObject lost=0x30 after=1", "the HSM reports a fault"),
    ("C_CreateObject lost=0x30 after=2", "the HSM reports a fault"),
    ("C_GenerateKey lost=0x30 after=1", "the HSM reports a fault"),
    ("C_GenerateKeyPair lost=0x32", "the token was removed"),
];

#[test]
fn a_fault_shows_before_init_and_an_init_that_meets_it_leaves_nothing() {
    isolated("a_fault_shows_before_init_and_an_init_that_meets_it_leaves_nothing", |fixture| {
        let settings = Settings { location: LocationChoice::Token, ..behind(&fixture) };
        for (rules, said) in FAULTS {
            rule(&fixture, rules);
            let report = Enclave::rehearse(&settings, None).unwrap();
            assert!(!report.is_fit(), "{rules}");
            assert!(failed(&report)[0].contains(said), "{rules}: {:?}", failed(&report));
            assert_eq!(left(&fixture), 0, "{rules}: the rehearsal");
            rule(&fixture, "");
            rule(&fixture, rules);
            let refused = Enclave::initialise(&settings).unwrap_err();
            assert!(!matches!(refused, OpenError::Unfinished { .. }), "{rules}: {refused}");
            assert_eq!(left(&fixture), 0, "{rules}: init");
        }
        rule(&fixture, "");
        Enclave::initialise(&settings).unwrap();
    });
}

#[test]
fn a_token_that_cannot_destroy_is_named_with_what_it_keeps() {
    isolated("a_token_that_cannot_destroy_is_named_with_what_it_keeps", |fixture| {
        let settings = behind(&fixture);
        let attempt = InitAttempt { installation: KeyId::random().unwrap(), adopt: false };
        // The first two are the probe's: its session key and its data object.
        rule(&fixture, "C_CreateObject rv=0x31 after=2\nC_DestroyObject rv=0x30 after=2");
        match Enclave::initialise_as(&settings, attempt) {
            Err(OpenError::Unfinished { failed, kept }) => {
                assert!(matches!(*failed, OpenError::Token(_)), "{failed}");
                assert!(kept.contains("C_DestroyObject"), "{kept}");
            }
            other => panic!("{other:?}"),
        }
        assert!(left(&fixture) > 0);
        rule(&fixture, "");
        // Of another attempt nothing is touched; of this one nothing stays.
        let other = InitAttempt { installation: KeyId::random().unwrap(), adopt: false };
        assert_eq!(Enclave::undo_init(&settings, other).unwrap(), 0);
        assert_eq!(Enclave::undo_init(&settings, attempt).unwrap(), 4);
        assert_eq!(left(&fixture), 0);
    });
}

/// Calls at which a process dies, and the number of that call.
const DEATHS: [&str; 12] = [
    "C_GenerateKey kill_post",
    "C_GenerateKey kill after=1",
    "C_GenerateKey kill_post after=1",
    "C_GenerateKeyPair kill",
    "C_GenerateKeyPair kill_post",
    "C_CreateObject kill_post",
    "C_CreateObject kill_post after=1",
    "C_CreateObject kill after=2",
    "C_CreateObject kill_post after=2",
    "C_DestroyObject kill after=2",
    "C_DestroyObject kill_post after=2",
    "C_DestroyObject kill_post after=4",
];

#[test]
fn what_a_killed_init_or_rehearsal_left_is_gone_after_the_next() {
    let name = "what_a_killed_init_or_rehearsal_left_is_gone_after_the_next";
    isolated(name, |fixture| {
        let settings = behind(&fixture);
        let attempt = |id: &str| InitAttempt { installation: id.parse().unwrap(), adopt: false };
        if let Ok(role) = std::env::var("HSM_ROLE") {
            rule(&fixture, &std::env::var("HSM_RULE").unwrap());
            match role.as_str() {
                "rehearse" => drop(Enclave::rehearse(&settings, None)),
                id => drop(Enclave::initialise_as(&settings, attempt(id))),
            }
            return;
        }
        let mut deaths = 0;
        for death in DEATHS {
            let id = KeyId::random().unwrap().to_string();
            for role in ["rehearse", &id] {
                rule(&fixture, "");
                let mut child = again(name, &fixture.directory);
                let output = child.env("HSM_ROLE", role).env("HSM_RULE", death).output().unwrap();
                let died = output.status.signal() == Some(9);
                assert!(died || output.status.success(), "{death}: {}", text(&output));
                deaths += usize::from(died);
                rule(&fixture, "");
                restore_softhsm_token(&fixture.plan()).unwrap();
                if role == "rehearse" {
                    let report = Enclave::rehearse(&settings, None).unwrap();
                    assert!(report.is_fit(), "{death}: {:?}", failed(&report));
                } else {
                    // As of the command, which knows the id from its journal.
                    let report = Enclave::rehearse(&settings, Some(id.parse().unwrap())).unwrap();
                    assert!(report.is_fit(), "{death}: {:?}", failed(&report));
                    let made = Enclave::initialise_as(&settings, attempt(&id)).unwrap().report;
                    assert_eq!(made.installation, id);
                    Enclave::open(settings.clone()).unwrap().close();
                    assert!(Enclave::undo_init(&settings, attempt(&id)).unwrap() >= 5, "{death}");
                }
                assert_eq!(left(&fixture), 0, "{death}: {role}");
            }
        }
        println!("{deaths} deaths");
        assert!(deaths > 15, "{deaths}");
    });
}

#[test]
fn what_was_in_the_token_before_a_failed_init_stays() {
    isolated("what_was_in_the_token_before_a_failed_init_stays", |fixture| {
        let settings = behind(&fixture);
        let first = InitAttempt { installation: KeyId::random().unwrap(), adopt: false };
        let report = Enclave::initialise_as(&settings, first).unwrap().report;
        let before = left(&fixture);
        // Another init of another host, which is refused, and one that takes over and fails.
        let second = InitAttempt { installation: KeyId::random().unwrap(), adopt: false };
        let refused = Enclave::initialise_as(&settings, second).unwrap_err();
        assert!(matches!(refused, OpenError::AlreadyInitialised { .. }), "{refused}");
        rule(&fixture, "C_SignInit rv=0x30");
        Enclave::initialise_as(&settings, InitAttempt { adopt: true, ..second }).unwrap_err();
        rule(&fixture, "");
        assert_eq!(Enclave::undo_init(&settings, InitAttempt { adopt: true, ..second }).unwrap(), 0);
        assert_eq!(left(&fixture), before);
        // An installation with keys is never undone.
        let enclave = Enclave::open(settings.clone()).unwrap();
        assert_eq!(hex::encode(enclave.store_key().installation()), report.installation);
        create(&enclave, new_key(1));
        enclave.close();
        let refused = Enclave::undo_init(&settings, first).unwrap_err();
        assert!(matches!(refused, OpenError::AlreadyInitialised { .. }), "{refused}");
        assert_eq!(left(&fixture), before + 1);
    });
}
