//! `disable` and `revoke` while the service is stopped and the token is away: the audit record alone takes away.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use rustix::process::Signal;
use serde_json::{Value, json};
use test_report::Guarantee;

use super::kill::{LIBRARY, compile};
use crate::support::{EOA, Installation, OTHER_EOA, Running, process, say, text};

/// Runs a command while the directory of the token is somewhere else.
fn without_token(installation: &Installation, arguments: &[&str]) -> Output {
    let token = installation.data().join("token");
    let away = installation.data().with_file_name("token-away");
    fs::rename(&token, &away).unwrap();
    let output = installation.run(arguments);
    fs::rename(&away, &token).unwrap();
    output
}

fn recorded(output: &Output) -> u64 {
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["applied"], "at_next_start");
    assert!(
        text(&output.stderr).contains("the next start does it before it signs"),
        "{}",
        text(&output.stderr)
    );
    said["recorded"].as_u64().unwrap()
}

fn sign(service: &Running, token: &str) -> (u16, String) {
    let answer =
        service.post("/v1/sign/digest", Some(token), &json!({"eoa": EOA, "digest": "07".repeat(32)}));
    (answer.status, answer.body["code"].as_str().unwrap_or_default().to_owned())
}

fn state(installation: &Installation) -> String {
    let shown = installation.must(&["--json", "keys", "show", "--eoa", EOA]);
    serde_json::from_str::<Value>(&shown).unwrap()["versions"][0]["state"].as_str().unwrap().to_owned()
}

/// How each record ended: code, and detail.
fn outcomes(installation: &Installation, record: u64) -> Vec<(String, Value)> {
    let records = installation.records();
    let ends = records.iter().filter(|line| line["intent"] == record);
    ends.map(|line| (line["code"].as_str().unwrap().to_owned(), line["detail"].clone())).collect()
}

const DISABLE: [&str; 5] = ["--json", "keys", "disable", "--eoa", EOA];

#[test]
fn what_was_taken_away_without_the_token_signs_nothing_after_the_next_start() {
    let installation = Installation::new();
    installation.must(&["keys", "create", "--eoa", EOA]);
    let (token, other) = (installation.token(EOA), installation.token(OTHER_EOA));
    let revoked = installation.token_with(EOA, &["sign:digest"], "1h");
    let list: Value = serde_json::from_str(&installation.must(&["--json", "access-token", "list"])).unwrap();
    let listed = list["access_tokens"].as_array().unwrap();
    let revoked_one = listed.iter().find(|token| token["scopes"] == json!(["sign:digest"])).unwrap();
    let id = revoked_one["id"].as_str().unwrap().to_owned();
    let records = [
        recorded(&without_token(&installation, &DISABLE)),
        recorded(&without_token(&installation, &["--json", "access-token", "revoke", &id])),
        recorded(&without_token(&installation, &["--json", "access-token", "revoke", "--eoa", OTHER_EOA])),
    ];
    // What gives needs the token.
    let given = without_token(&installation, &["keys", "enable", "--eoa", EOA]);
    assert_eq!(given.status.code(), Some(1), "{}", text(&given.stdout));

    let service = installation.serve();
    assert_eq!(sign(&service, &token).0, 409, "{:?}", sign(&service, &token));
    for token in [&revoked, &other] {
        assert_eq!(sign(&service, token).0, 401);
    }
    service.kill();
    for record in records {
        assert_eq!(outcomes(&installation, record), [("recovered_applied".to_owned(), Value::Null)]);
    }
    // Once: what is given back stays.
    installation.must(&["keys", "enable", "--eoa", EOA]);
    let service = installation.serve();
    assert_eq!(sign(&service, &token).0, 200);
    service.stop();
}

#[test]
fn a_freeze_without_the_token_holds_from_the_next_start_until_it_is_ended() {
    let installation = Installation::new();
    installation.must(&["keys", "create", "--eoa", EOA]);
    let token = installation.token(EOA);
    let record = recorded(&without_token(&installation, &["--json", "freeze", "--reason", "taken"]));
    let service = installation.serve();
    assert_eq!(sign(&service, &token), (503, "service_frozen".to_owned()));
    service.kill();
    assert_eq!(outcomes(&installation, record), [("recovered_applied".to_owned(), Value::Null)]);
    installation.must(&["unfreeze"]);
    let service = installation.serve();
    assert_eq!(sign(&service, &token).0, 200);
    service.stop();
}

#[test]
fn a_wrong_pin_is_no_obstacle_and_a_command_applies_what_was_recorded() {
    let installation = Installation::new();
    installation.must(&["keys", "create", "--eoa", EOA]);
    let pin = installation.data().join("pin");
    let right = fs::read(&pin).unwrap();
    fs::write(&pin, "not the PIN of this token, at all").unwrap();
    let output = installation.run(&DISABLE);
    fs::write(&pin, right).unwrap();
    recorded(&output);
    assert_eq!(state(&installation), "disabled");
}

#[test]
fn a_record_that_names_nothing_takes_nothing_away_and_the_start_says_so() {
    let installation = Installation::new();
    installation.must(&["keys", "create", "--eoa", EOA]);
    let missing = [
        recorded(&without_token(&installation, &[&DISABLE[..], &["--name", "no-such-key"]].concat())),
        recorded(&without_token(&installation, &[&DISABLE[..], &["--version", "7"]].concat())),
        recorded(&without_token(&installation, &["--json", "access-token", "revoke", "tok_0123456789ab"])),
    ];
    let service = installation.serve();
    assert!(service.start.contains("nothing was taken away by this record"), "{}", service.start);
    service.stop();
    for record in missing {
        let ends = outcomes(&installation, record);
        assert!(ends.len() == 1 && ends[0].0 == "recovered_not_applied", "{ends:?}");
        assert!(ends[0].1.as_str().unwrap().contains("there is no such"), "{ends:?}");
    }
    assert_eq!(state(&installation), "active");
}

#[test]
fn a_record_that_was_carried_out_is_never_carried_out_again_even_in_a_log_without_its_outcome() {
    let installation = Installation::new();
    installation.must(&["keys", "create", "--eoa", EOA]);
    recorded(&without_token(&installation, &DISABLE));
    let (log, old) = (installation.data().join("audit"), installation.data().with_file_name("old"));
    assert!(Command::new("cp").arg("-a").arg(&log).arg(&old).status().unwrap().success());
    installation.serve().stop();
    installation.must(&["keys", "enable", "--eoa", EOA]);
    installation.serve().stop();
    fs::remove_dir_all(&log).unwrap();
    fs::rename(&old, &log).unwrap();
    let refused = installation.run(&["serve"]);
    let said = text(&refused.stderr);
    let past =
        said.split("--accept-audit-rollback ").nth(1).expect(&said).split('`').next().unwrap().to_owned();
    let service = installation.serve_with(|command| {
        command.args(["--accept-audit-rollback", &past]);
    });
    assert_eq!(service.stop(), Some(0));
    assert_eq!(state(&installation), "active");
}

#[test]
fn a_kill_while_it_is_recorded_leaves_a_whole_record_or_none() {
    let installation = Installation::new();
    installation.must(&["keys", "create", "--eoa", EOA]);
    let library: PathBuf = installation.data().with_file_name(LIBRARY);
    compile(&library);
    let pin = installation.data().join("pin");
    let away = pin.with_extension("away");
    let (mut nothing, mut whole) = (0, 0);
    for count in 1..200 {
        fs::rename(&pin, &away).unwrap();
        let mut command = installation.command(&DISABLE);
        command.env("LD_PRELOAD", &library).env("KILL_IN", "/audit/").env("KILL_AT", count.to_string());
        let output = process::output(&mut command);
        fs::rename(&away, &pin).unwrap();
        if output.status.signal() != Some(Signal::KILL.as_raw()) {
            recorded(&output);
            break;
        }
        match state(&installation).as_str() {
            "active" => nothing += 1,
            "disabled" => whole += 1,
            other => panic!("{other}"),
        }
        let verdict = installation.must(&["--json", "audit", "verify", "--allow-missing"]);
        assert_eq!(serde_json::from_str::<Value>(&verdict).unwrap()["open_intents"], 0, "{count}");
        if state(&installation) == "disabled" {
            installation.must(&["keys", "enable", "--eoa", EOA]);
        }
    }
    assert!(nothing > 0 && whole > 0, "{nothing} kills left nothing, {whole} a record");
    say(&format!("recording without the token: {nothing} kills left nothing, {whole} a record"));
    Guarantee::Kill.shown();
}
