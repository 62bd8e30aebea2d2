//! Two versions of a key side by side, and every transition of a version.

use avs_kms::eigenlayer::{self, Certificate, KeyRegistration};
use serde_json::{Value, json};

use crate::support::{EOA, Installation, OTHER_EOA, Running, bytes, g1, g2, point};

pub(crate) const SCOPES: [&str; 5] = ["keys:read", "keys:create", "keys:rotate", "sign:digest", "sign:typed"];

pub(crate) fn call(
    service: &Running,
    token: &str,
    what: &str,
    more: &Value,
) -> crate::support::client::Answer {
    let mut body = json!({"eoa": EOA});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    service.post(&format!("/v1/keys/{what}"), Some(token), &body)
}

fn sign(service: &Running, token: &str, version: Value) -> (u16, String, Value) {
    let body = json!({"eoa": EOA, "version": version, "digest": format!("0x{}", "07".repeat(32))});
    let answer = service.post("/v1/sign/digest", Some(token), &body);
    (answer.status, answer.body["code"].as_str().unwrap_or("ok").to_owned(), answer.body["version"].clone())
}

#[test]
fn a_rotation_keeps_both_versions_usable_until_the_old_one_is_retired() {
    let installation = Installation::new();
    let token = installation.token_with(EOA, &SCOPES, "1h");
    let service = installation.serve();
    let first = service.create(&token, EOA, "default");

    let next = call(&service, &token, "rotate", &json!({"reason": "quarterly"}));
    assert_eq!(
        (next.status, &next.body["version"], &next.body["state"]),
        (201, &json!(2), &json!("pending"))
    );
    assert_ne!(next.body["operator_id"], first["operator_id"]);
    let again = call(&service, &token, "rotate", &json!({}));
    assert_eq!(
        (again.status, &again.body["created"], &again.body["version"]),
        (200, &json!(false), &json!(2))
    );
    assert_eq!(sign(&service, &token, json!("current")), (200, "ok".into(), json!(1)));
    assert_eq!(sign(&service, &token, json!("next")), (200, "ok".into(), json!(2)));

    let activated = call(&service, &token, "activate", &json!({"version": 2}));
    assert_eq!((activated.status, &activated.body["state"]), (200, &json!("active")), "{activated:?}");
    assert_eq!(activated.body["previous"]["state"], "retiring");
    let again = call(&service, &token, "activate", &json!({}));
    assert_eq!(
        (again.status, &again.body["changed"], &again.body["version"]),
        (200, &json!(false), &json!(2))
    );
    assert_eq!(sign(&service, &token, json!("current")), (200, "ok".into(), json!(2)));
    assert_eq!(sign(&service, &token, json!(1)), (200, "ok".into(), json!(1)));
    assert_eq!(sign(&service, &token, json!("next")), (404, "version_not_found".into(), Value::Null));
    // A rotation that names its version is repeated without harm after the activation.
    let repeated = call(&service, &token, "rotate", &json!({"version": 2}));
    assert_eq!((repeated.status, &repeated.body["state"]), (200, &json!("active")));
    assert_eq!(call(&service, &token, "rotate", &json!({"version": 4})).code(), (404, "version_not_found"));

    let retired = call(&service, &token, "retire", &json!({}));
    assert_eq!((&retired.body["version"], &retired.body["state"]), (&json!(1), &json!("retired")));
    assert!(retired.body["warning"].as_str().unwrap().contains("21 days"), "{retired:?}");
    assert_eq!(call(&service, &token, "retire", &json!({})).body["changed"], false);
    assert_eq!(sign(&service, &token, json!(1)), (409, "key_retired".into(), Value::Null));
    assert_eq!(call(&service, &token, "activate", &json!({"version": 1})).code(), (409, "key_retired"));
    assert_eq!(call(&service, &token, "retire", &json!({"version": 2})).code(), (409, "invalid_key_state"));

    // It all survives a kill, and the log says who and why.
    service.kill();
    let service = installation.serve();
    let shown = service.get(&format!("/v1/keys/{EOA}/default"), Some(&token)).body;
    let states: Vec<_> = shown["versions"].as_array().unwrap().iter().map(|v| v["state"].clone()).collect();
    assert_eq!(states, ["active", "retired"]);
    assert_eq!(service.stop(), Some(0));
    let rotation = &installation.records_of("keys.rotate")[0];
    assert_eq!(
        (&rotation["kind"], &rotation["input"]["fields"]["reason"]),
        (&json!("intent"), &json!("quarterly"))
    );
    assert_eq!(
        (&rotation["actor"]["kind"], &rotation["actor"]["eoa"]),
        (&json!("access_token"), &json!(EOA))
    );
    let activation = &installation.records_of("keys.activate")[0];
    assert_eq!(activation["input"]["fields"], json!({"from": "pending", "to": "active", "supersedes": 1}));
    let kinds: Vec<_> =
        installation.records_of("keys.activate").iter().map(|record| record["kind"].clone()).collect();
    // The last refusal may have died with the process: refusals are not waited for.
    assert_eq!(kinds[..3], ["intent", "outcome", "event"]);
}

#[test]
fn a_disabled_version_does_not_sign_and_returns_to_its_earlier_state() {
    let installation = Installation::new();
    let token = installation.token_with(EOA, &SCOPES, "1h");
    let service = installation.serve();
    service.create(&token, EOA, "default");
    call(&service, &token, "rotate", &json!({}));
    assert_eq!(call(&service, &token, "disable", &json!({})).body["state"], "disabled");
    assert_eq!(sign(&service, &token, json!("current")), (409, "key_disabled".into(), Value::Null));
    assert_eq!(sign(&service, &token, json!("next")).0, 200);
    // Replaced while disabled, it stays disabled. Enabled again, it is retiring.
    assert_eq!(call(&service, &token, "activate", &json!({})).body["previous"]["state"], "disabled");
    assert_eq!(sign(&service, &token, json!(1)), (409, "key_disabled".into(), Value::Null));
    assert_eq!(call(&service, &token, "enable", &json!({"version": 1})).body["state"], "retiring");
    assert_eq!(sign(&service, &token, json!(1)).0, 200);
    assert_eq!(call(&service, &token, "enable", &json!({"version": 1})).body["changed"], false);
}

#[test]
fn only_the_machines_own_operator_or_a_signed_request_destroys() {
    let installation = Installation::new();
    let token = installation.token_with(EOA, &SCOPES, "1h");
    let service = installation.serve();
    service.create(&token, EOA, "default");
    call(&service, &token, "rotate", &json!({}));
    for what in ["destroy", "restore"] {
        assert_eq!(call(&service, &token, what, &json!({"version": 2})).code(), (403, "forbidden"));
    }
    let run = |arguments: &[&str]| {
        let mut all = vec!["--json", "keys"];
        all.extend(arguments);
        all.extend(["--eoa", EOA]);
        installation.run(&all)
    };
    let said = |arguments: &[&str]| -> Value {
        let output = run(arguments);
        assert!(output.status.success(), "{}", crate::support::text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let refused = |arguments: &[&str]| crate::support::text(&run(arguments).stderr);
    assert!(
        refused(&["destroy", "--yes", "--version", "2", "--after-days", "6"])
            .contains("after_days: expected a whole number from 7 to 3653")
    );
    assert!(refused(&["destroy"]).contains("version"));
    assert!(
        refused(&["destroy", "--yes", "--version", "1"]).contains("invalid_key_state"),
        "the current version was taken"
    );
    let destroying = said(&["destroy", "--yes", "--version", "2", "--reason", "not needed"]);
    assert_eq!(destroying["state"], "destroy_scheduled");
    let days = (destroying["destroy_at_unix"].as_i64().unwrap()
        - destroying["created_at_unix"].as_i64().unwrap())
        / 86_400;
    assert_eq!(days, 30);
    assert_eq!(sign(&service, &token, json!(2)), (409, "key_destroyed".into(), Value::Null));
    assert_eq!(
        said(&["destroy", "--yes", "--version", "2", "--after-days", "7"])["destroy_at"],
        destroying["destroy_at"]
    );
    assert!(refused(&["destroy", "--version", "2"]).contains("pass --yes"), "there is no terminal to ask on");
    assert_eq!(said(&["restore", "--version", "2"])["state"], "pending");
    let again = run(&["restore", "--version", "2"]);
    assert_eq!(again.status.code(), Some(1), "nothing was scheduled, so nothing was restored");
    assert!(crate::support::text(&again.stderr).contains("was not scheduled"), "{again:?}");
    assert_eq!(sign(&service, &token, json!(2)).0, 200);
    service.stop();
    // The same commands work without the service.
    assert_eq!(said(&["disable", "--version", "2"])["state"], "disabled");
    assert_eq!(said(&["enable", "--version", "2"])["state"], "pending");
    assert_eq!(said(&["activate"])["version"], 2);
}

#[test]
fn the_reference_time_of_a_signature_chooses_the_version_that_was_current_then() {
    let installation = Installation::new();
    let token = installation.token_with(EOA, &SCOPES, "1h");
    let service = installation.serve();
    let first = service.create(&token, EOA, "default");
    call(&service, &token, "rotate", &json!({}));
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let second = call(&service, &token, "activate", &json!({})).body;
    let (begin, change) =
        (first["activated_at_unix"].as_u64().unwrap(), second["activated_at_unix"].as_u64().unwrap());
    assert!(change > begin);
    let digest = |time: u64| {
        let body =
            json!({"eoa": EOA, "reference_timestamp": time, "digest": format!("0x{}", "07".repeat(32))});
        let answer = service.post("/v1/sign/digest", Some(&token), &body);
        (answer.status, answer.body["version"].clone())
    };
    assert_eq!(digest(change - 1), (200, json!(1)));
    assert_eq!(digest(change), (200, json!(2)));
    assert_eq!(digest(begin - 1), (404, Value::Null));
    let certificate = |time: u64, version: Value| {
        let body = json!({"eoa": EOA, "version": version, "reference_timestamp": time,
            "message_hash": format!("0x{}", "09".repeat(32))});
        let answer = service.post("/v1/sign/certificate", Some(&token), &body);
        assert_eq!(answer.status, 200, "{answer:?}");
        let reference_timestamp = u32::try_from(time).unwrap();
        let digest = Certificate { reference_timestamp, message_hash: [9; 32] }.digest();
        let hash = eigenlayer::hash_to_g1(&digest);
        assert!(eigenlayer::verify(&g1(&answer.body["signature"]), &hash, &g2(&answer.body["g2"])));
        answer.body["version"].clone()
    };
    assert_eq!(certificate(change - 1, Value::Null), 1);
    assert_eq!(certificate(change, Value::Null), 2);
    assert_eq!(certificate(1_000, Value::Null), 1, "before its first day a key had no other version");
    assert_eq!(certificate(change - 1, json!("current")), 2, "the caller knows better");
    let both = json!({"eoa": EOA, "version": 1, "reference_timestamp": 5, "digest": format!("0x{}", "07".repeat(32))});
    assert_eq!(service.post("/v1/sign/digest", Some(&token), &both).code(), (400, "invalid_request"));
}

#[test]
fn a_bound_version_brings_its_proof_and_is_bound_once() {
    let installation = Installation::new();
    let token = installation.token_with(EOA, &["keys:create", "keys:rotate", "keys:read"], "1h");
    let typed = installation.token_with(EOA, &["sign:typed"], "1h");
    let service = installation.serve();
    let binding = json!({"registry": "key_registrar", "chain_id": 17_000, "verifying_contract": OTHER_EOA,
        "avs": EOA, "operator_set_id": 3});
    let body = json!({"eoa": EOA, "name": "set3", "binding": binding});
    let made = service.post("/v1/keys", Some(&token), &body);
    assert_eq!(made.status, 201, "{made:?}");
    let proven = |record: &Value| {
        let digest = KeyRegistration {
            chain_id: 17_000,
            key_registrar: bytes(&json!(OTHER_EOA)),
            version: "1",
            operator: bytes(&json!(EOA)),
            avs: bytes(&json!(EOA)),
            operator_set_id: 3,
            key_data: &bytes(&record["key_data"]),
        }
        .digest();
        let (signature, key) =
            (g1(&record["registration"]["signature"]), (g1(&record["g1"]), g2(&record["g2"])));
        assert!(eigenlayer::signature_verifier_accepts(&digest, &signature, &key.0, &key.1), "{record}");
    };
    proven(&made.body);
    assert_eq!(made.body["binding"]["operator"], EOA);
    assert_eq!(service.post("/v1/keys", Some(&token), &body).status, 200);
    let mut other = body;
    other["binding"]["operator_set_id"] = json!(4);
    let refused = service.post("/v1/keys", Some(&token), &other);
    assert_eq!((refused.code(), &refused.body["field"]), ((409, "invalid_key_state"), &json!("binding")));
    // Nor is it proven to another registry.
    let elsewhere = json!({"eoa": EOA, "name": "set3", "chain_id": 1, "registry": "bls_apk_registry",
        "verifying_contract": OTHER_EOA});
    assert_eq!(
        service.post("/v1/sign/registration", Some(&typed), &elsewhere).code(),
        (409, "invalid_key_state")
    );
    let here = service.post("/v1/sign/registration", Some(&typed), &json!({"eoa": EOA, "name": "set3"}));
    assert_eq!(here.body["signature"], made.body["registration"]["signature"]);
    // The next version inherits the place, with a proof of its own.
    let next = service.post("/v1/keys/rotate", Some(&token), &json!({"eoa": EOA, "name": "set3"}));
    assert_eq!((next.status, &next.body["binding"]), (201, &made.body["binding"]));
    proven(&next.body);
    let shown = installation.must(&["keys", "show", "--eoa", EOA, "--name", "set3"]);
    assert!(shown.contains("key_registrar") && shown.contains("operator set 3"), "{shown}");
    let unbound = service.post("/v1/keys", Some(&token), &json!({"eoa": EOA}));
    assert!(unbound.body.get("binding").is_none() && unbound.body.get("registration").is_none());
    let body = json!({"eoa": EOA, "hash": point(&eigenlayer::hash_to_g1(&[1; 32]))});
    assert_eq!(
        service.post("/v1/sign/registration", Some(&typed), &json!({"eoa": EOA})).code(),
        (400, "invalid_request")
    );
    assert_eq!(service.post("/v1/scalar_mul", Some(&token), &body).code(), (403, "forbidden"));
}
