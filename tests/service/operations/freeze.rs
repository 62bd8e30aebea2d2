//! `avs-kms freeze | unfreeze`: nothing signs and nothing is made meanwhile; what takes away and what reads continues.

use serde_json::{Value, json};

use super::metrics::scrape;
use crate::security::fault_injection::Bench;
use crate::support::{EOA, Installation, Running, point, text, until};

const ALL: &[&str] = &["keys:read", "keys:create", "keys:rotate", "sign:point", "sign:digest", "audit:read"];

fn sign(service: &Running, token: &str) -> (u16, String) {
    sign_with(service, token, "default")
}

fn sign_with(service: &Running, token: &str, name: &str) -> (u16, String) {
    let hash = point(&hsm::G1Point::generator());
    let answer =
        service.post("/v1/scalar_mul", Some(token), &json!({"eoa": EOA, "name": name, "hash": hash}));
    let (status, code) = answer.code();
    (status, code.to_owned())
}

fn frozen() -> (u16, String) {
    (503, "service_frozen".to_owned())
}

fn said(output: &str) -> Value {
    serde_json::from_str(output).unwrap()
}

#[test]
fn a_frozen_service_neither_signs_nor_makes_and_the_rest_continues_across_restarts() {
    let installation = Installation::new();
    let token = installation.token_with(EOA, ALL, "1h");
    let service = installation.serve();
    service.create(&token, EOA, "default");
    service.create(&token, EOA, "other");
    assert_eq!(sign(&service, &token).0, 200);
    let first = said(&installation.must(&["--json", "freeze", "--reason", "host may be taken"]));
    assert_eq!((&first["frozen"], &first["changed"]), (&json!(true), &json!(true)), "{first}");
    let again = said(&installation.must(&["--json", "freeze", "--reason", "again"]));
    assert_eq!(
        (&again["changed"], &again["reason"]),
        (&json!(false), &json!("host may be taken")),
        "{again}"
    );
    assert_eq!(again["since"], first["since"]);

    let post = |service: &Running, path: &str, body: &Value| {
        let answer = service.post(path, Some(&token), body);
        let (status, code) = answer.code();
        (status, code.to_owned())
    };
    let is_frozen = |service: &Running| {
        assert_eq!(sign(service, &token), frozen());
        assert_eq!(
            post(service, "/v1/sign/digest", &json!({"eoa": EOA, "digest": "00".repeat(32)})),
            frozen()
        );
        assert_eq!(post(service, "/v1/keys", &json!({"eoa": EOA, "name": "new"})), frozen());
        assert_eq!(post(service, "/v1/keys/rotate", &json!({"eoa": EOA})), frozen());
        let ready = service.get("/readyz", None);
        assert_eq!(ready.code(), (503, "service_frozen"), "{ready:?}");
        assert!(!ready.raw.contains("taken"), "the reason is for the administrator: {ready:?}");
        assert_eq!(service.get("/healthz", None).status, 200);
        let metrics = scrape(service.health.unwrap());
        assert!(metrics.lines().any(|line| line == "avs_kms_frozen 1"), "{metrics}");
        let health = installation.run(&["health"]);
        assert!(!health.status.success() && text(&health.stderr).contains("avs-kms unfreeze"), "{health:?}");
        // A key that exists is shown: nothing is made.
        assert_eq!(post(service, "/v1/keys", &json!({"eoa": EOA})).0, 200);
        assert_eq!(service.get(&format!("/v1/keys/{EOA}"), Some(&token)).status, 200);
        assert_eq!(service.get("/v1/audit", Some(&token)).status, 200);
    };
    is_frozen(&service);
    for path in ["/v1/keys/disable", "/v1/keys/enable"] {
        assert_eq!(post(&service, path, &json!({"eoa": EOA})).0, 200, "{path}");
    }
    installation.must(&["access-token", "issue", "--eoa", EOA, "--scope", "keys:read"]);
    let one = ["--eoa", EOA, "--name", "other", "--version", "1"];
    installation.must(&[&["keys", "disable"], &one[..]].concat());

    // Neither an end nor a kill ends it.
    assert_eq!(service.stop(), Some(0));
    let service = installation.serve();
    assert!(service.start.contains("frozen since"), "{}", service.start);
    is_frozen(&service);
    service.kill();
    let service = installation.serve();
    is_frozen(&service);

    let ended = said(&installation.must(&["--json", "unfreeze", "--reason", "false alarm"]));
    assert_eq!((&ended["frozen"], &ended["changed"]), (&json!(false), &json!(true)));
    assert!(installation.must(&["unfreeze"]).starts_with("nothing changed"));
    assert_eq!(sign(&service, &token).0, 200);
    assert_eq!(service.get("/readyz", None).status, 200);
    assert_eq!(service.stop(), Some(0));

    // Intent and outcome, with reason and who; a repetition is one event.
    let records = installation.records_of("service.freeze");
    let kinds: Vec<_> = records.iter().map(|record| record["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["intent", "outcome", "event"], "{records:?}");
    assert_eq!(records[0]["input"]["fields"]["reason"], "host may be taken");
    assert_eq!(records[1]["code"], "ok");
    assert!(records[1]["store"].is_object(), "the outcome names the state of the store: {}", records[1]);
    let actor = &records[0]["actor"];
    assert_eq!(actor["kind"], "local");
    assert_eq!(actor["uid"], rustix::process::getuid().as_raw());
    assert!(actor["pid"].as_u64().unwrap() > 1, "{actor}");
    assert_eq!(installation.records_of("service.unfreeze")[0]["input"]["fields"]["reason"], "false alarm");
    installation.must(&["audit", "verify"]);
}

#[test]
fn a_stopped_service_is_frozen_by_the_command_itself() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let mut command = installation.command(&["freeze"]);
    command.env("SUDO_USER", "alice\u{202e}");
    assert!(command.output().unwrap().status.success());
    let service = installation.serve();
    let answer = service.post("/v1/keys", Some(&token), &json!({"eoa": EOA}));
    assert_eq!(answer.code(), (503, "service_frozen"), "{answer:?}");
    assert_eq!(service.stop(), Some(0));
    assert!(installation.must(&["unfreeze"]).contains("sign again"));
    installation.serve().create(&token, EOA, "default");
    let records = installation.records_of("service.freeze");
    let said = records[0]["actor"]["login"].as_str();
    assert!(said.is_none_or(|said| said.is_ascii()), "a login name is escaped: {said:?}");
}

#[test]
fn no_client_freezes_over_the_network_or_by_an_edit_of_the_store() {
    let installation = Installation::new();
    let token = installation.token_with(EOA, ALL, "1h");
    let service = installation.serve();
    service.create(&token, EOA, "default");
    for path in ["/local/freeze", "/local/unfreeze"] {
        assert_eq!(service.post(path, Some(&token), &json!({})).code(), (404, "not_found"));
    }
    installation.must(&["freeze"]);
    let edit = |sql: &str| {
        let store = rusqlite::Connection::open(installation.data().join("store.sqlite")).unwrap();
        assert!(store.execute(sql, []).unwrap() > 0, "{sql}");
    };
    edit("DELETE FROM freeze");
    assert_eq!(sign(&service, &token), frozen(), "a running service reads no row again");
    service.kill();
    let output = installation.run(&["keys", "list"]);
    assert!(text(&output.stderr).contains("changed from outside"), "{output:?}");
}

#[test]
fn a_freeze_while_the_token_is_away_works_and_is_kept() {
    let mut bench = Bench::with(&[]);
    bench.rules("* rv=0x32");
    let service = bench.service.as_ref().unwrap();
    until("the token is away", || sign_with(service, &bench.token, "one").1 == "hsm_unavailable");
    let said = said(&bench.installation.must(&["--json", "freeze"]));
    assert_eq!(said["changed"], true);
    bench.rules("");
    until("the token is back", || {
        scrape(service.health.unwrap()).lines().any(|line| line == "avs_kms_hsm_ready 1")
    });
    assert_eq!(sign_with(service, &bench.token, "one"), frozen());
    bench.stop();
}
