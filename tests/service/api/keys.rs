//! `/v1/keys`: create, list and show keys.

use std::thread;

use avs_kms::eigenlayer;
use serde_json::{Value, json};

use crate::support::{EOA, Installation, OTHER_EOA, bytes, g1, g2};

#[test]
fn creating_is_get_or_create_and_answers_one_key_for_one_name() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    let first = service.post("/v1/keys", Some(&token), &json!({"eoa": EOA}));
    assert_eq!((first.status, &first.body["created"]), (201, &Value::Bool(true)));
    let again = service.post(
        "/v1/keys",
        Some(&token),
        &json!({"eoa": EOA.to_lowercase(), "name": "default", "curve": "bn254"}),
    );
    assert_eq!((again.status, &again.body["created"]), (200, &Value::Bool(false)));
    for member in [
        "eoa",
        "name",
        "curve",
        "version",
        "state",
        "g1",
        "g2",
        "key_data",
        "operator_id",
        "created_at",
        "created_at_unix",
    ] {
        assert!(!first.body[member].is_null(), "{member}");
        assert_eq!(first.body[member], again.body[member], "{member}");
    }
    assert_eq!(first.body["eoa"], EOA);
    assert_eq!(first.body["state"], "active");
    let other = service.create(&token, EOA, "other");
    assert_ne!(other["operator_id"], first.body["operator_id"]);
}

#[test]
fn the_public_forms_of_a_key_belong_to_one_scalar() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    let key = service.create(&token, EOA, "default");
    let (g1, g2) = (g1(&key["g1"]), g2(&key["g2"]));
    assert!(eigenlayer::same_key(&g1, &g2));
    assert_eq!(bytes::<192>(&key["key_data"]), eigenlayer::key_data(&g1, &g2));
    assert_eq!(bytes::<32>(&key["operator_id"]), eigenlayer::operator_id(&g1));
}

#[test]
fn many_clients_that_create_the_same_name_at_once_get_the_same_key() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    let body = json!({"eoa": EOA, "name": "race"});
    let create = || {
        // Changes of keys run one at a time; a client that waits too long for its turn is to try again.
        let mut attempts = (0..1_000).map(|_| service.post("/v1/keys", Some(&token), &body));
        attempts.find(|answer| answer.code() != (503, "overloaded")).expect("always overloaded")
    };
    let answers: Vec<_> = thread::scope(|scope| {
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 1);
    assert!(answers.iter().all(|answer| answer.body["operator_id"] == answers[0].body["operator_id"]));
}

#[test]
fn lists_hold_every_key_of_the_eoa_and_no_other() {
    let installation = Installation::new();
    let (token, other) = (installation.token(EOA), installation.token(OTHER_EOA));
    let service = installation.serve();
    for name in ["b", "a", "c"] {
        service.create(&token, EOA, name);
    }
    service.create(&other, OTHER_EOA, "theirs");
    let list = service.get(&format!("/v1/keys/{EOA}"), Some(&token));
    assert_eq!(list.body["eoa"], EOA);
    let names: Vec<_> = list.body["keys"].as_array().unwrap().iter().map(|key| key["name"].clone()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let shown = service.get(&format!("/v1/keys/{}/a", EOA.to_lowercase()), Some(&token));
    assert_eq!(shown.status, 200);
    assert_eq!(shown.body["versions"][0]["version"], 1);
    assert_eq!(shown.body["operator_id"], shown.body["versions"][0]["operator_id"]);
    assert_eq!(service.get(&format!("/v1/keys/{EOA}/none"), Some(&token)).code(), (404, "key_not_found"));
}

#[test]
fn creation_leaves_intent_and_outcome_and_a_repetition_leaves_an_event() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    service.create(&token, EOA, "default");
    service.create(&token, EOA, "default");
    assert_eq!(service.stop(), Some(0));
    let records = installation.records_of("keys.create");
    let kinds: Vec<_> = records.iter().map(|record| record["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["intent", "outcome", "event"]);
    assert_eq!(records[0]["key"]["eoa"], EOA);
}
