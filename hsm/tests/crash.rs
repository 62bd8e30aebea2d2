//! The process dies before or after each call of a creation, a destruction and a start-up: what was reported stays, what was
//! not can be asked for again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test
#![allow(clippy::wildcard_enum_match_arm, clippy::print_stdout)] // the table is printed

use std::os::unix::process::ExitStatusExt;

use hsm::*;

#[path = "support/fault_injection.rs"]
mod fault_injection;
#[path = "support/rows.rs"]
mod rows;
#[path = "support/token.rs"]
mod support;
use support::*;

fn settings(fixture: &Fixture) -> Settings {
    Settings { module: test_report::fault_injection_module(&fixture.directory), ..fixture.settings() }
}

fn rules(fixture: &Fixture, text: &str) {
    std::fs::write(fixture.directory.join("rules"), text).unwrap();
}

/// Runs the test again as the process that is to die under `rule`; gives whether it died.
fn die(name: &str, fixture: &Fixture, role: &str, id: KeyId, rule: &str) -> bool {
    rules(fixture, "");
    let mut child = again(name, &fixture.directory);
    let output =
        child.env("HSM_ROLE", role).env("HSM_ID", id.to_string()).env("HSM_RULE", rule).output().unwrap();
    rules(fixture, "");
    assert!(
        output.status.success() || output.status.signal() == Some(9),
        "{rule}: {} {}",
        output.status,
        text(&output)
    );
    output.status.signal() == Some(9)
}

fn victim(fixture: &Fixture, role: &str) {
    let id = std::env::var("HSM_ID").unwrap().parse().unwrap();
    let rule = std::env::var("HSM_RULE").unwrap();
    if role == "open" {
        rules(fixture, &rule);
    }
    let enclave = Enclave::open(settings(fixture)).unwrap();
    rules(fixture, &rule);
    match role {
        "create" => drop(create(&enclave, NewKey { id, ..new_key(1) })),
        "destroy" => run(enclave.destroy(id, soon())).unwrap(),
        _ => {}
    }
    enclave.close();
}

const CALLS: [&str; 9] = [
    "C_GenerateRandom",
    "C_EncryptInit",
    "C_Encrypt",
    "C_CreateObject",
    "C_FindObjectsInit",
    "C_FindObjects",
    "C_GetAttributeValue",
    "C_Decrypt",
    "C_CloseSession",
];

#[test]
fn a_creation_that_dies_anywhere_loses_nothing_and_can_be_repeated() {
    let name = "a_creation_that_dies_anywhere_loses_nothing_and_can_be_repeated";
    isolated(name, |fixture| {
        if let Ok(role) = std::env::var("HSM_ROLE") {
            return victim(&fixture, &role);
        }
        fixture.initialised();
        let enclave = fixture.open();
        let first = new_key(1);
        let public = create(&enclave, first);
        enclave.close();
        let (mut deaths, mut keys) = (0, 1);
        for call in CALLS {
            for (effect, after) in
                [("kill", 0), ("kill_post", 0), ("kill", 1), ("kill_post", 1), ("kill_post", 3)]
            {
                let id = KeyId::random().unwrap();
                let died = die(name, &fixture, "create", id, &format!("{call} {effect} after={after}"));
                deaths += usize::from(died);
                restore_softhsm_token(&fixture.plan()).unwrap();
                let enclave = fixture.open();
                assert!(signs(&enclave, first.id, &public));
                // There whole or not at all, and the same either way once it is asked for again.
                let before = enclave.public_key(id);
                let key = NewKey { id, ..new_key(1) };
                let made = create(&enclave, key);
                assert!(before.is_none_or(|before| before == made));
                assert!(signs(&enclave, id, &made));
                keys += 1;
                assert_eq!(enclave.keys().len(), keys, "{call} {effect}");
                assert!(enclave.health().findings.unreadable.is_empty());
                enclave.close();
            }
        }
        println!("{deaths} deaths, {keys} keys, none lost");
        assert!(deaths > 25, "{deaths}");
    });
}

#[test]
fn a_destruction_that_dies_leaves_the_key_whole_or_gone() {
    let name = "a_destruction_that_dies_leaves_the_key_whole_or_gone";
    isolated(name, |fixture| {
        if let Ok(role) = std::env::var("HSM_ROLE") {
            return victim(&fixture, &role);
        }
        fixture.initialised();
        for (rule, gone) in [
            ("C_DestroyObject kill", false),
            ("C_DestroyObject kill_post", true),
            ("C_FindObjectsInit kill", false),
            ("C_FindObjectsInit kill after=1", false),
            ("C_FindObjectsInit kill after=2", false),
            ("C_FindObjectsInit kill after=3", true),
        ] {
            let enclave = fixture.open();
            let key = new_key(1);
            let public = create(&enclave, key);
            enclave.close();
            assert!(die(name, &fixture, "destroy", key.id, rule));
            restore_softhsm_token(&fixture.plan()).unwrap();
            let enclave = fixture.open();
            assert_eq!(enclave.public_key(key.id), (!gone).then_some(public), "{rule}");
            if !gone {
                assert!(signs(&enclave, key.id, &public));
                run(enclave.destroy(key.id, soon())).unwrap();
            }
            assert!(enclave.keys().is_empty());
            enclave.close();
        }
    });
}

#[test]
fn a_start_that_dies_in_the_login_leaves_a_token_that_works_or_can_be_restored() {
    let name = "a_start_that_dies_in_the_login_leaves_a_token_that_works_or_can_be_restored";
    isolated(name, |fixture| {
        if let Ok(role) = std::env::var("HSM_ROLE") {
            return victim(&fixture, &role);
        }
        fixture.initialised();
        let enclave = fixture.open();
        let key = new_key(1);
        let public = create(&enclave, key);
        enclave.close();
        for rule in [
            "C_Initialize kill",
            "C_Login kill",
            "C_Login kill_post",
            "C_CopyObject kill_post",
            "C_Finalize kill",
        ] {
            assert!(die(name, &fixture, "open", key.id, rule), "{rule}");
            restore_softhsm_token(&fixture.plan()).unwrap();
            let enclave = fixture.open();
            assert!(signs(&enclave, key.id, &public), "{rule}");
            enclave.close();
        }
    });
}
