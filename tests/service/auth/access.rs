//! Authorisation over HTTP: scopes, owners, operations of the local socket.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use avs_kms::eigenlayer;
use serde_json::{Value, json};

use crate::support::client::request;
use crate::support::{EOA, Installation, OTHER_EOA, point};

fn body() -> Value {
    json!({"eoa": EOA, "hash": point(&eigenlayer::hash_to_g1(&[1; 32]))})
}

#[test]
fn without_a_valid_access_token_the_answer_says_nothing() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    service.create(&token, EOA, "default");
    let unknown = format!("kms_{}", "0".repeat(64));
    for wrong in [None, Some(""), Some("x"), Some(unknown.as_str()), Some(&token[..token.len() - 1])] {
        for path in ["/v1/keys", "/v1/scalar_mul"] {
            assert_eq!(
                service.post(path, wrong, &body()).code(),
                (401, "unauthenticated"),
                "{path} {wrong:?}"
            );
        }
        for path in
            [format!("/v1/keys/{EOA}"), format!("/v1/keys/{EOA}/default"), format!("/v1/keys/{EOA}/none")]
        {
            assert_eq!(service.get(&path, wrong).code(), (401, "unauthenticated"), "{path} {wrong:?}");
        }
    }
    let twice = format!(
        "GET /v1/keys/{EOA} HTTP/1.1\r\nHost: t\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nAuthorization: Bearer {unknown}\r\n\r\n"
    );
    assert_eq!(service.send(twice.as_bytes()).code(), (401, "unauthenticated"));
}

#[test]
fn a_token_of_another_eoa_learns_nothing_not_even_whether_a_key_exists() {
    let installation = Installation::new();
    let (token, other) = (installation.token(EOA), installation.token(OTHER_EOA));
    let service = installation.serve();
    service.create(&token, EOA, "default");
    assert_eq!(service.post("/v1/scalar_mul", Some(&other), &body()).code(), (403, "forbidden"));
    assert_eq!(service.post("/v1/keys", Some(&other), &json!({"eoa": EOA})).code(), (403, "forbidden"));
    let there = service.get(&format!("/v1/keys/{EOA}/default"), Some(&other));
    let not_there = service.get(&format!("/v1/keys/{EOA}/none"), Some(&other));
    assert_eq!(there.code(), (403, "forbidden"));
    assert_eq!((not_there.code(), &not_there.body["error"]), (there.code(), &there.body["error"]));
    service.stop();
    let refused = installation.records_of("scalar_mul");
    assert_eq!((refused.len(), &refused[0]["code"]), (1, &json!("forbidden")), "{refused:?}");
}

#[test]
fn a_token_does_what_its_scopes_say_and_a_wildcard_token_for_every_eoa() {
    let installation = Installation::new();
    let create = installation.token_with(EOA, &["keys:create"], "1h");
    let read = installation.token_with("*", &["keys:read"], "1h");
    let sign = installation.token_with(EOA, &["sign:point"], "1h");
    let service = installation.serve();
    service.create(&create, EOA, "default");
    assert_eq!(service.get(&format!("/v1/keys/{EOA}"), Some(&read)).status, 200);
    assert_eq!(service.get(&format!("/v1/keys/{OTHER_EOA}"), Some(&read)).status, 200);
    assert_eq!(service.post("/v1/scalar_mul", Some(&sign), &body()).status, 200);
    assert_eq!(service.get(&format!("/v1/keys/{EOA}"), Some(&create)).code(), (403, "forbidden"));
    assert_eq!(service.post("/v1/scalar_mul", Some(&read), &body()).code(), (403, "forbidden"));
    assert_eq!(service.post("/v1/keys", Some(&sign), &json!({"eoa": EOA})).code(), (403, "forbidden"));
}

#[test]
fn expired_and_revoked_tokens_stop_at_once_and_stay_stopped_over_a_restart() {
    let installation = Installation::new();
    let short = installation.token_with(EOA, &["keys:read"], "2s");
    let revoked = installation.token(EOA);
    let service = installation.serve();
    let path = format!("/v1/keys/{EOA}");
    assert_eq!(service.get(&path, Some(&revoked)).status, 200);
    let list: Value = serde_json::from_str(&installation.must(&["--json", "access-token", "list"])).unwrap();
    let tokens = list["access_tokens"].as_array().unwrap();
    assert_eq!(tokens.len(), 2);
    assert!(!list.to_string().contains("kms_"), "a listing shows a token");
    let id = tokens.iter().find(|token| token["scopes"].as_array().unwrap().len() > 1).unwrap()["id"].clone();
    installation.must(&["access-token", "revoke", id.as_str().unwrap()]);
    assert_eq!(service.get(&path, Some(&revoked)).code(), (401, "unauthenticated"));
    std::thread::sleep(Duration::from_millis(2_100));
    assert_eq!(service.get(&path, Some(&short)).code(), (401, "token_expired"));
    service.kill();
    let service = installation.serve();
    assert_eq!(service.get(&path, Some(&revoked)).code(), (401, "unauthenticated"));
    assert_eq!(service.get(&path, Some(&short)).code(), (401, "token_expired"));
}

#[test]
fn tokens_cannot_be_managed_over_tcp() {
    let installation = Installation::new();
    let token = installation.token_with("*", &["keys:read", "keys:create", "audit:read"], "1h");
    let service = installation.serve();
    assert_eq!(service.get("/local/access-tokens", Some(&token)).code(), (404, "not_found"));
    assert_eq!(service.get("/local/keys", Some(&token)).code(), (404, "not_found"));
    let body = json!({"eoa": "*", "scopes": ["sign:point"], "ttl_seconds": 60});
    assert_eq!(service.post("/local/access-tokens", Some(&token), &body).code(), (404, "not_found"));
}

#[test]
fn refusals_are_recorded_without_the_secret_that_was_presented() {
    let installation = Installation::new();
    let service = installation.serve();
    let guess = format!("kms_{}", "ab".repeat(32));
    service.send(&request("GET", &format!("/v1/keys/{EOA}"), Some(&guess), None));
    let log = service.log();
    service.stop();
    let records = installation.records_of("keys.list");
    assert_eq!((records.len(), &records[0]["code"]), (1, &json!("unauthenticated")), "{records:?}");
    assert!(!records[0].to_string().contains(&guess));
    assert!(!log.contains(&guess));
}

#[test]
fn a_token_that_is_revoked_while_its_request_arrives_signs_nothing() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    service.create(&token, EOA, "default");
    let list: Value = serde_json::from_str(&installation.must(&["--json", "access-token", "list"])).unwrap();
    let id = list["access_tokens"][0]["id"].as_str().unwrap().to_owned();

    let bytes = request("POST", "/v1/scalar_mul", Some(&token), Some(&body().to_string()));
    let (most, rest) = bytes.split_at(bytes.len() - 1);
    let mut stream = TcpStream::connect(service.address).unwrap();
    stream.write_all(most).unwrap();
    // Long enough for the header to be read and the token to be recognised.
    std::thread::sleep(Duration::from_millis(300));
    installation.must(&["access-token", "revoke", &id]);
    stream.write_all(rest).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    service.stop();
    let outcome = installation.records_of("scalar_mul").pop().unwrap();
    assert_eq!(
        (&outcome["kind"], &outcome["code"]),
        (&json!("outcome"), &json!("unauthenticated")),
        "{outcome}"
    );
}
