//! What the policy of a key allows, whatever the caller may do.

use avs_kms::eigenlayer;
use serde_json::{Value, json};

use crate::support::{EOA, Installation, OTHER_EOA, Running, point};

fn try_all(service: &Running, token: &str, name: &str) -> [u16; 3] {
    let point = point(&eigenlayer::hash_to_g1(&[1; 32]));
    let hash = format!("0x{}", "11".repeat(32));
    let with = |member: Value| {
        let mut body = json!({"eoa": EOA, "name": name});
        body.as_object_mut().unwrap().extend(member.as_object().unwrap().clone());
        body
    };
    [
        ("/v1/scalar_mul", with(json!({"hash": point}))),
        ("/v1/sign/digest", with(json!({"digest": hash}))),
        ("/v1/sign/certificate", with(json!({"reference_timestamp": 1, "message_hash": hash}))),
    ]
    .map(|(path, body)| service.post(path, Some(token), &body).status)
}

fn create(service: &Running, token: &str, name: &str, policy: &Value) -> crate::support::client::Answer {
    service.post("/v1/keys", Some(token), &json!({"eoa": EOA, "name": name, "policy": policy}))
}

#[test]
fn a_key_signs_what_its_policy_allows_from_its_creation_on_and_over_restarts() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    let made = create(&service, &token, "typed", &json!({"signing": ["typed"]}));
    assert_eq!((made.status, &made.body["policy"]), (201, &json!({"signing": ["typed"], "networks": []})));
    service.create(&token, EOA, "all");
    assert_eq!(try_all(&service, &token, "all"), [200, 200, 200]);
    assert_eq!(try_all(&service, &token, "typed"), [403, 403, 200]);
    // Asking again changes nothing: the same policy is the same key, another one is refused.
    assert_eq!(create(&service, &token, "typed", &json!({"signing": ["typed"]})).status, 200);
    assert_eq!(create(&service, &token, "typed", &json!({})).code(), (409, "invalid_key_state"));
    service.create(&token, EOA, "typed");
    assert_eq!(try_all(&service, &token, "typed"), [403, 403, 200]);
    service.kill();
    let service = installation.serve();
    assert_eq!(try_all(&service, &token, "typed"), [403, 403, 200]);
    installation.must(&["keys", "policy", "set", "--eoa", EOA, "--name", "typed", "--allow", "point"]);
    assert_eq!(try_all(&service, &token, "typed"), [200, 403, 403]);
    installation.must(&["keys", "policy", "clear", "--eoa", EOA, "--name", "typed", "--yes"]);
    assert_eq!(try_all(&service, &token, "typed"), [200, 200, 200]);
    service.stop();
    let records = installation.records_of("keys.set_policy");
    assert_eq!(records.iter().filter(|record| record["kind"] == "intent").count(), 2);
    assert_eq!(records[0]["input"]["fields"]["signing"], "point");
    let denied = installation.records_of("scalar_mul");
    assert!(denied.iter().any(|record| record["code"] == "forbidden"), "{denied:?}");
}

#[test]
fn a_command_that_only_looks_changes_nothing_and_set_changes_what_it_names() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    let policy = json!({"signing": ["digest", "typed"], "networks": ["127.0.0.0/8"], "per_minute": 9});
    create(&service, &token, "k", &policy);
    let key = ["--eoa", EOA, "--name", "k"];
    let run = |arguments: &[&str]| installation.run(&[&["--json", "keys", "policy"], arguments].concat());
    let now = || {
        let shown = run(&[&["show"][..], &key].concat());
        serde_json::from_slice::<Value>(&shown.stdout).unwrap()["policy"].clone()
    };
    // What was typed to look, and what names no change.
    for looking in [&key[..], &[&["set"][..], &key].concat(), &[&["clear"][..], &key].concat(), &[]] {
        assert_eq!(run(looking).status.code(), Some(2), "{looking:?}");
        assert_eq!(now(), policy, "{looking:?}");
    }
    for (option, value, member, expected) in [
        ("--allow", "point", "signing", json!(["point"])),
        ("--network", "10.0.0.0/8", "networks", json!(["10.0.0.0/8"])),
        ("--per-minute", "4", "per_minute", json!(4)),
        ("--per-minute", "0", "per_minute", Value::Null),
    ] {
        let mut before = now();
        assert!(run(&[&["set", option, value][..], &key].concat()).status.success());
        before[member] = expected;
        if before[member].is_null() {
            before.as_object_mut().unwrap().remove(member);
        }
        assert_eq!(now(), before, "{option} {value}");
    }
    assert!(run(&[&["clear", "--yes"][..], &key].concat()).status.success());
    assert_eq!(now(), json!({"signing": ["digest", "point", "typed"], "networks": []}));
    let shown = installation.must(&["keys", "show", "--eoa", EOA, "--name", "k"]);
    assert!(shown.starts_with("allows       digest, point, typed\n"), "{shown}");
}

#[test]
fn a_key_is_used_from_its_networks_and_as_often_as_its_cap_says() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    create(&service, &token, "far", &json!({"networks": ["10.0.0.0/8"]}));
    assert_eq!(try_all(&service, &token, "far"), [403, 403, 403]);
    create(&service, &token, "near", &json!({"networks": ["127.0.0.1/32"]}));
    assert_eq!(try_all(&service, &token, "near"), [200, 200, 200]);
    create(&service, &token, "seldom", &json!({"per_minute": 2}));
    assert_eq!(try_all(&service, &token, "seldom"), [200, 200, 429]);
    assert_eq!(try_all(&service, &token, "near"), [200, 200, 200]);
}

#[test]
fn a_registration_proof_leaves_where_the_key_is_used_from_whatever_kinds_it_allows() {
    let installation = Installation::new();
    let token = installation.token_with(EOA, &["keys:create", "keys:rotate", "sign:typed"], "1h");
    let service = installation.serve();
    let create = |name: &str, policy: Value| {
        let binding = json!({"registry": "bls_apk_registry", "chain_id": 1, "verifying_contract": OTHER_EOA});
        let body = json!({"eoa": EOA, "name": name, "policy": policy, "binding": binding});
        service.post("/v1/keys", Some(&token), &body)
    };
    let far = json!({"networks": ["10.0.0.0/8"]});
    for _ in 0..2 {
        let made = create("far", far.clone());
        assert!(matches!(made.status, 200 | 201) && made.body.get("registration").is_none(), "{made:?}");
        assert!(made.body["warning"].as_str().unwrap().contains("not used from this address"), "{made:?}");
    }
    let next = service.post("/v1/keys/rotate", Some(&token), &json!({"eoa": EOA, "name": "far"}));
    assert!(next.status == 201 && next.body.get("registration").is_none(), "{next:?}");
    // The service itself builds the digest of a registration, so no kind of signing is had by the way.
    let near = create("near", json!({"signing": [], "networks": ["127.0.0.1/32"]}));
    assert!(near.body["registration"]["signature"].is_object(), "{near:?}");
    let disabled = service.post("/v1/keys/disable", Some(&token), &json!({"eoa": EOA, "name": "near"}));
    assert_eq!(disabled.status, 200, "{disabled:?}");
    let again = create("near", json!({"signing": [], "networks": ["127.0.0.1/32"]}));
    assert!(again.status == 200 && again.body.get("registration").is_none(), "{again:?}");
    service.stop();
    let refused = installation.records_of("sign.registration");
    assert_eq!(refused.iter().filter(|record| record["code"] == "forbidden").count(), 3, "{refused:?}");
}

#[test]
fn a_policy_that_makes_no_sense_is_refused_by_name_and_makes_no_key() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    for (policy, field) in [
        (json!({"signing": ["everything"]}), "policy.signing"),
        (json!({"signing": "typed"}), "policy.signing"),
        (json!({"networks": ["10.0.0.1/8"]}), "policy.networks"),
        (json!({"per_minute": 0}), "policy.per_minute"),
        (json!({"per_minute": -1}), "policy.per_minute"),
        (json!({"colour": "red"}), "policy.colour"),
        (json!("typed"), "policy"),
    ] {
        let answer = create(&service, &token, "default", &policy);
        assert_eq!(
            (answer.code(), &answer.body["field"]),
            ((400, "invalid_request"), &json!(field)),
            "{policy}"
        );
    }
    let none = create(&service, &token, "default", &json!({"signing": []}));
    assert_eq!((none.status, &none.body["created"]), (201, &json!(true)));
    assert_eq!(try_all(&service, &token, "default"), [403, 403, 403]);
}
