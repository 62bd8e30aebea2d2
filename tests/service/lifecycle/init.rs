//! Installations that cannot work: each is refused quickly, with an error that says what to do.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::support::{EOA, Installation, process, text};

/// Runs `serve`, which must fail, and gives what it said.
fn refusal(installation: &Installation, change: impl FnOnce(&mut Command)) -> String {
    let mut command = installation.command(&["serve"]);
    change(&mut command);
    let output = process::output(&mut command);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

#[test]
fn serving_without_a_data_directory_names_init() {
    let said = refusal(&Installation::empty(), |_| {});
    assert!(said.contains("init"), "{said}");
}

#[test]
fn a_second_init_refuses_and_changes_nothing() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let before = fs::read(installation.data().join("pin")).unwrap();
    let output = installation.run(&["init"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("nothing was changed"), "{}", text(&output.stderr));
    assert_eq!(fs::read(installation.data().join("pin")).unwrap(), before);
    installation.serve().create(&token, EOA, "default");
}

#[test]
fn init_into_a_directory_with_other_files_refuses() {
    let installation = Installation::empty();
    fs::create_dir(installation.data()).unwrap();
    fs::write(installation.data().join("thesis.tex"), "").unwrap();
    let output = installation.run(&["init"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("thesis.tex"), "{}", text(&output.stderr));
}

#[test]
fn a_lost_store_is_never_answered_by_advice_that_costs_the_keys() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    service.create(&token, EOA, "default");
    assert_eq!(service.stop(), Some(0));
    let store = installation.data().join("store.sqlite");
    let aside = installation.data().with_file_name("aside");
    fs::rename(&store, &aside).unwrap();
    for arguments in [&["serve"][..], &["init"], &["init", "--resume"], &["keys", "list"]] {
        let output = installation.run(arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("audit") && said.contains("token") && said.contains("newest backup"), "{said}");
        assert!(!said.contains("remove") && !said.contains("create it"), "{arguments:?}: {said}");
    }
    fs::rename(&aside, &store).unwrap();
    assert_eq!(installation.serve().create(&token, EOA, "default")["created"], false);
}

#[test]
fn what_init_makes_is_for_its_owner_alone() {
    let installation = Installation::new();
    let mode =
        |name: &str| fs::metadata(installation.data().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(""), 0o700);
    assert_eq!(mode("pin"), 0o600);
    let pin = fs::read_to_string(installation.data().join("pin")).unwrap();
    assert!(pin.trim().len() >= 24, "a PIN of {} characters can be guessed", pin.trim().len());
}

#[test]
fn a_missing_module_is_named() {
    let installation = Installation::new();
    let said = refusal(&installation, |command| {
        command.env("AVS_KMS__PKCS11__MODULE", "/nowhere/libsofthsm2.so");
    });
    assert!(said.contains("/nowhere/libsofthsm2.so"), "{said}");
}

#[test]
fn an_unknown_token_label_is_named_beside_those_that_exist() {
    let installation = Installation::new();
    let said = refusal(&installation, |command| {
        command.env("AVS_KMS__PKCS11__LABEL", "other");
    });
    assert!(said.contains("other") && said.contains("avs-kms"), "{said}");
}

#[test]
fn a_wrong_pin_is_tried_once_and_never_again() {
    let installation = Installation::new();
    let pin = installation.data().join("pin");
    let right = fs::read(&pin).unwrap();
    fs::write(&pin, "000000000000000000000000").unwrap();
    let output = process::output(&mut installation.command(&["serve"]));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("PIN") && said.contains("once"), "{said}");
    fs::write(&pin, right).unwrap();
    installation.serve();
}

#[test]
fn a_pin_file_that_others_can_read_is_refused() {
    let installation = Installation::new();
    let pin = installation.data().join("pin");
    fs::set_permissions(&pin, fs::Permissions::from_mode(0o640)).unwrap();
    let said = refusal(&installation, |_| {});
    assert!(said.contains("0640") && said.contains("0600"), "{said}");
    fs::remove_file(&pin).unwrap();
    let said = refusal(&installation, |_| {});
    assert!(said.contains("does not exist"), "{said}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let installation = Installation::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = installation.run(&["serve", "--listen", &address]);
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains(&address), "{said}");
}

#[test]
fn a_second_process_on_the_data_directory_is_refused_with_the_id_of_the_first() {
    let installation = Installation::new();
    let service = installation.serve();
    let said = refusal(&installation, |_| {});
    assert!(said.contains(&service.id().to_string()), "{said}");
}

#[test]
fn a_log_that_is_not_there_or_cannot_be_written_stops_the_start() {
    let installation = Installation::new();
    let log = installation.data().join("audit");
    let aside = installation.data().join("aside");
    fs::rename(&log, &aside).unwrap();
    let said = refusal(&installation, |_| {});
    assert!(said.contains("audit log"), "{said}");
    fs::write(&log, "not a directory").unwrap();
    let said = refusal(&installation, |_| {});
    assert!(said.contains("audit log"), "{said}");
    fs::remove_file(&log).unwrap();
    fs::rename(&aside, &log).unwrap();
    installation.serve();
}

#[test]
fn a_damaged_store_stops_the_start() {
    let installation = Installation::new();
    fs::write(installation.data().join("store.sqlite"), "SQLite format 3\0 it is not").unwrap();
    let said = refusal(&installation, |_| {});
    assert!(said.contains("store"), "{said}");
}

#[test]
fn all_configuration_mistakes_are_reported_at_once_with_the_code_for_wrong_usage() {
    let installation = Installation::empty();
    let mut command = installation.command(&["serve"]);
    command.env("AVS_KMS__SERVER__LISTEN", "nowhere").env("AVS_KMS__SERVER__TYPO", "1");
    let output = process::output(&mut command);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("server.listen") && said.contains("server.typo"), "{said}");
}

#[test]
fn a_token_that_a_kill_destroyed_is_noticed_and_restored() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    installation.serve().create(&token, EOA, "default");
    let output = installation.run(&["--json", "doctor"]);
    let fit: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let warned = fit["checks"].as_array().unwrap().iter().any(|check| check["passed"] == false);
    assert_eq!(output.status.code(), Some(if warned { 3 } else { 0 }), "{fit}");
    assert_eq!((&fit["fit"], &fit["keys"], &fit["scheme"]), (&true.into(), &1.into(), &"S1".into()), "{fit}");
    assert_eq!(fit["variant"], "caller", "{fit}");

    let tokens = installation.data().join("token/tokens");
    let object = fs::read_dir(tokens).unwrap().next().unwrap().unwrap().path().join("token.object");
    fs::write(&object, "").unwrap();
    refusal(&installation, |_| {});
    let output = installation.run(&["doctor"]);
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("softhsm restore"), "{said}");
    installation.must(&["softhsm", "restore"]);
    assert_eq!(installation.must(&["softhsm", "restore"]), "nothing was damaged");
    let key = installation.serve().create(&token, EOA, "default");
    assert_eq!(key["created"], false, "the key is gone");
}

#[test]
fn a_data_directory_that_others_can_write_is_refused() {
    let installation = Installation::new();
    fs::set_permissions(installation.data(), fs::Permissions::from_mode(0o777)).unwrap();
    let said = refusal(&installation, |_| {});
    assert!(said.contains("0777"), "{said}");
}
