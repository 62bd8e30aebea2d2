//! `POST /v1/scalar_mul`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use avs_kms::eigenlayer;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::client::request;
use crate::support::{EOA, Installation, bytes, g1, g2, point};

#[test]
fn a_signature_verifies_under_both_public_keys_and_carries_every_form() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    service.create(&token, EOA, "default");
    for n in 0..4_u8 {
        let hash = eigenlayer::hash_to_g1(&[n; 32]);
        let signed = service.post("/v1/scalar_mul", Some(&token), &json!({"eoa": EOA, "hash": point(&hash)}));
        assert_eq!(signed.status, 200, "{signed:?}");
        let body = signed.body;
        let (signature, key1, key2) = (g1(&body["signature"]), g1(&body["g1"]), g2(&body["g2"]));
        assert!(eigenlayer::verify(&signature, &hash, &key2));
        assert!(eigenlayer::apk_registry_accepts(&signature, &hash, &key1, &key2));
        assert_eq!(body["hash"], point(&hash));
        assert_eq!(bytes::<64>(&body["signature_bytes"]), signature.to_bytes());
        assert_eq!(bytes::<192>(&body["key_data"]), eigenlayer::key_data(&key1, &key2));
        let parameters = &body["evm"]["pubkey_registration_params"];
        assert_eq!(parameters[0], json!([body["signature"]["x"], body["signature"]["y"]]));
        assert_eq!(parameters[2], json!([body["g2"]["x"], body["g2"]["y"]]));
        assert!(body["request_id"].as_str().unwrap().starts_with("req_"));
    }
}

#[test]
fn the_same_point_gives_the_same_signature_in_every_form_of_the_request() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    service.create(&token, EOA, "default");
    let hash = eigenlayer::hash_to_g1(&[7; 32]);
    let (x, y) = (hex::encode(hash.x()), hex::encode(hash.y()));
    let forms = [
        json!({"eoa": EOA, "hash": {"x": format!("0x{x}"), "y": format!("0x{y}")}}),
        json!({"eoa": EOA.to_lowercase(), "hash": {"X": x.to_uppercase(), "Y": y}}),
        json!({"eoa": EOA, "hash": format!("0x{x}{y}"), "name": "default", "version": 1}),
        json!({"eoa": &EOA[2..], "hash": format!("{x}{y}"), "name": null, "version": "current"}),
    ];
    let answers = forms.map(|form| service.post("/v1/scalar_mul", Some(&token), &form));
    for answer in &answers {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body["signature"], answers[0].body["signature"]);
    }
}

#[test]
fn the_receipt_names_the_durable_intent_and_the_outcome_names_the_signature() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    service.create(&token, EOA, "default");
    let hash = eigenlayer::hash_to_g1(&[9; 32]);
    let signed = service.post("/v1/scalar_mul", Some(&token), &json!({"eoa": EOA, "hash": point(&hash)}));
    // The intent is on disk already: a process that dies now cannot take it back.
    service.kill();
    let intent = installation
        .records()
        .into_iter()
        .find(|record| record["seq"] == signed.body["audit"]["seq"])
        .unwrap();
    assert_eq!((&intent["kind"], &intent["op"]), (&json!("intent"), &json!("scalar_mul")));
    assert_eq!(intent["request"], signed.body["request_id"]);
    assert!(!intent.to_string().contains(&token), "the token is in the log");

    let service = installation.serve();
    let signed = service.post("/v1/scalar_mul", Some(&token), &json!({"eoa": EOA, "hash": point(&hash)}));
    assert_eq!(service.stop(), Some(0));
    let signature_hash = URL_SAFE_NO_PAD.encode(Sha256::digest(g1(&signed.body["signature"]).to_bytes()));
    let outcome = installation.records_of("scalar_mul").pop().unwrap();
    assert_eq!((&outcome["kind"], &outcome["code"]), (&json!("outcome"), &json!("ok")));
    assert_eq!(outcome["signature_hash"], signature_hash, "{outcome}");
}

#[test]
fn a_client_that_hangs_up_cannot_suppress_its_record() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    service.create(&token, EOA, "default");
    let body = json!({"eoa": EOA, "hash": point(&eigenlayer::hash_to_g1(&[3; 32]))}).to_string();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(service.address).unwrap();
        stream.write_all(&request("POST", "/v1/scalar_mul", Some(&token), Some(&body))).unwrap();
        drop(stream);
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let records = installation.records_of("scalar_mul");
        let count = |kind: &str| records.iter().filter(|record| record["kind"] == kind).count();
        if (count("intent"), count("outcome")) == (20, 20) {
            break;
        }
        assert!(Instant::now() < deadline, "{} intents, {} outcomes", count("intent"), count("outcome"));
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn missing_versions_and_missing_names_have_codes_of_their_own() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    service.create(&token, EOA, "default");
    let hash = point(&eigenlayer::hash_to_g1(&[1; 32]));
    let sign = |name: &str, version: serde_json::Value| {
        let body = json!({"eoa": EOA, "name": name, "version": version, "hash": hash});
        service.post("/v1/scalar_mul", Some(&token), &body)
    };
    assert_eq!(sign("none", json!(1)).code(), (404, "key_not_found"));
    assert_eq!(sign("default", json!(2)).code(), (404, "version_not_found"));
    assert_eq!(sign("default", json!("next")).code(), (404, "version_not_found"));
    for version in
        [json!(0), json!(-1), json!(1.5), json!("1"), json!("latest"), json!([1]), json!(4_294_967_296_u64)]
    {
        let answer = sign("default", version.clone());
        assert_eq!(
            (answer.code(), &answer.body["field"]),
            ((400, "invalid_request"), &json!("version")),
            "{version}"
        );
    }
}
