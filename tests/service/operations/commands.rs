//! The command line: beside the running service and without it.

use std::fs;

use serde_json::Value;

use crate::support::{EOA, Installation, OTHER_EOA, text};

#[test]
fn keys_can_be_made_and_read_with_and_without_a_running_service() {
    let installation = Installation::new();
    assert_eq!(installation.must(&["keys", "list"]), "no keys");
    let made = installation.must(&["keys", "create", "--eoa", EOA]);
    assert!(made.starts_with("created"), "{made}");
    let service = installation.serve();
    let made = installation.must(&["keys", "create", "--eoa", OTHER_EOA, "--name", "two"]);
    assert!(made.starts_with("created"), "{made}");
    let again = installation.must(&["keys", "create", "--eoa", EOA]);
    assert!(again.starts_with("the key existed already"), "{again}");
    let running = installation.must(&["keys", "list"]);
    assert_eq!(service.stop(), Some(0));
    assert_eq!(installation.must(&["keys", "list"]), running);
    assert!(running.contains(EOA) && running.contains(OTHER_EOA));
    let shown: Value =
        serde_json::from_str(&installation.must(&["--json", "keys", "show", "--eoa", EOA])).unwrap();
    assert_eq!(shown["versions"][0]["state"], "active");
    let records = installation.records_of("keys.create");
    assert!(records.iter().any(|record| record["actor"]["kind"] == "local"), "{records:?}");
}

#[test]
fn a_refused_command_fails_with_the_services_own_sentence() {
    let installation = Installation::new();
    let service = installation.serve();
    for arguments in [
        &["keys", "show", "--eoa", EOA][..],
        &["access-token", "revoke", "tok_000000000000"],
        &["access-token", "issue", "--eoa", EOA, "--scope", "keys:read", "--ttl", "91d"],
    ] {
        let output = installation.run(arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?} {said}");
        assert!(said.contains("req_"), "{said}");
    }
    drop(service);
}

#[test]
fn wrong_usage_exits_with_two_and_help_with_zero() {
    let installation = Installation::empty();
    for arguments in [
        &["colour"][..],
        &[],
        &["keys", "show"],
        &["keys", "show", "--eoa", "0x12"],
        &["access-token", "issue", "--eoa", EOA],
        &["access-token", "issue", "--eoa", EOA, "--scope", "sign:everything"],
        &["access-token", "issue", "--eoa", EOA, "--scope", "keys:read", "--ttl", "soon"],
        &["serve", "--port", "1"],
        &["--config", "/nowhere.toml", "serve"],
    ] {
        assert_eq!(installation.run(arguments).status.code(), Some(2), "{arguments:?}");
    }
    for command in ["init", "serve", "keys", "access-token", "audit", "doctor", "softhsm", "version"] {
        let output = installation.run(&[command, "--help"]);
        assert_eq!(output.status.code(), Some(0), "{command}");
        assert!(text(&output.stdout).len() > 100, "{command}");
    }
    let help = text(&installation.run(&["--help"]).stdout);
    assert!(help.contains("Exit status:") && help.contains("  4  the token refused the PIN"), "{help}");
    let version: Value = serde_json::from_str(&installation.must(&["--json", "version"])).unwrap();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn verify_passes_over_a_sound_log_and_names_the_first_bad_record() {
    let installation = Installation::new();
    for name in ["a", "b", "c"] {
        installation.must(&["keys", "create", "--eoa", EOA, "--name", name]);
    }
    let report: Value = serde_json::from_str(&installation.must(&["--json", "audit", "verify"])).unwrap();
    assert_eq!(report["records"], installation.records().len());

    let segment = fs::read_dir(installation.data().join("audit"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "log"))
        .unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let records = installation.records();
    let bad = records.iter().find(|record| record["key"]["name"] == "b").unwrap();
    let needle = b"\"name\":\"b\"";
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    bytes[at + 8] = b'x';
    fs::write(&segment, bytes).unwrap();
    let output = installation.run(&["audit", "verify"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("record {}", bad["seq"])), "{said}\n{bad}");
}

#[test]
fn a_command_lists_what_an_option_allows_and_takes_several_at_once() {
    let installation = Installation::new();
    let help = text(&installation.run(&["access-token", "issue", "--help"]).stdout);
    assert!(help.contains("sign:typed") && help.contains("Example:"), "{help}");
    let (_, global) = help.split_once("Global options:").unwrap();
    let (global, _) = global.split_once("Example:").unwrap_or((global, ""));
    assert!(global.contains("--config") && !global.contains("--eoa"), "{help}");
    installation.must(&["access-token", "issue", "--eoa", EOA, "--scope", "keys:read,sign:typed"]);
    let list: Value = serde_json::from_str(&installation.must(&["--json", "access-token", "list"])).unwrap();
    assert_eq!(list["access_tokens"][0]["scopes"], serde_json::json!(["keys:read", "sign:typed"]));
}

#[test]
fn the_log_can_be_read_while_the_service_writes_it() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    service.create(&token, EOA, "default");
    installation.must(&["audit", "verify"]);
    let last = installation.must(&["audit", "tail", "-n", "2"]);
    let last: Vec<Value> = last.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(last[0]["op"], "keys.create");
    assert_eq!((&last[1]["kind"], &last[1]["intent"]), (&"outcome".into(), &last[0]["seq"]));
}
