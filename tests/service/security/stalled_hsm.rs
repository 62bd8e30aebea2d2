//! Other clients, and the limits, while a call of the PKCS#11 module stalls.

use std::thread;
use std::time::Duration;

use avs_kms::eigenlayer;
use serde_json::{Value, json};

use crate::security::fault_injection::Bench;
use crate::support::client;
use crate::support::{EOA, OTHER_EOA, point, until};

fn body(eoa: &str, name: &str) -> Value {
    json!({"eoa": eoa, "name": name, "hash": point(&eigenlayer::hash_to_g1(&[5; 32]))})
}

#[test]
fn however_many_keys_are_being_made_others_sign() {
    let mut bench = Bench::with(&[
        ("AVS_KMS__LIMITS__MAX_CONCURRENT_REQUESTS", "4"),
        ("AVS_KMS__LIMITS__QUEUE_TIMEOUT", "100ms"),
    ]);
    let other = bench.installation.token(OTHER_EOA);
    let service = bench.service.as_ref().unwrap();
    service.create(&other, OTHER_EOA, "theirs");
    bench.rules("C_CreateObject slow delay_ms=1000 times=1");
    let (address, token) = (service.address, &bench.token);
    let created: Vec<_> = thread::scope(|scope| {
        let create = |n: usize| {
            let body = json!({"eoa": EOA, "name": format!("new-{n}")});
            client::post(address, "/v1/keys", token, &body).unwrap()
        };
        let clients: Vec<_> = (0..12).map(|n| scope.spawn(move || create(n))).collect();
        // Long enough for all of them to have come, too short for one of them to be done.
        thread::sleep(Duration::from_millis(400));
        for _ in 0..3 {
            let answer = client::post(address, "/v1/scalar_mul", &other, &body(OTHER_EOA, "theirs")).unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let codes: Vec<_> = created.iter().map(client::Answer::code).collect();
    assert!(codes.iter().any(|(status, _)| *status == 201), "{codes:?}");
    assert!(codes.contains(&(503, "overloaded")), "{codes:?}");
    bench.stop();
}

fn intents(bench: &Bench) -> usize {
    let records = bench.installation.records_of("scalar_mul");
    records.iter().filter(|record| record["kind"] == "intent").count()
}

/// Signs behind a call that hangs until the rules change, and does something meanwhile.
fn while_it_signs(bench: &Bench, token: &str, meanwhile: impl FnOnce()) -> client::Answer {
    let address = bench.service.as_ref().unwrap().address;
    let before = intents(bench);
    bench.rules("C_Decrypt hang times=1");
    thread::scope(|scope| {
        let signing = scope
            .spawn(|| client::post(address, "/v1/scalar_mul", token, &body(OTHER_EOA, "theirs")).unwrap());
        // Its intent is the last thing before the module is asked.
        until("the signature is under way", || intents(bench) > before);
        meanwhile();
        bench.rules("");
        signing.join().unwrap()
    })
}

#[test]
fn a_revocation_disable_or_freeze_during_a_token_call_prevents_the_signature() {
    let mut bench = Bench::with(&[
        ("AVS_KMS__SERVER__REQUEST_DEADLINE", "20s"),
        ("AVS_KMS__ENCLAVE__STALL_TIMEOUT", "15s"),
    ]);
    let token = bench.installation.token(OTHER_EOA);
    let service = bench.service.as_ref().unwrap();
    service.create(&token, OTHER_EOA, "theirs");
    assert_eq!(while_it_signs(&bench, &token, || {}).status, 200);
    let key = ["--eoa", OTHER_EOA, "--name", "theirs"];
    let disabled = while_it_signs(&bench, &token, || {
        bench.installation.must(&[&["keys", "disable"], &key[..]].concat());
    });
    assert_eq!(disabled.code(), (409, "key_disabled"), "{disabled:?}");
    bench.installation.must(&[&["keys", "enable"], &key[..]].concat());
    let revoked = while_it_signs(&bench, &token, || {
        bench.installation.must(&["access-token", "revoke", "--eoa", OTHER_EOA]);
    });
    assert_eq!(revoked.code(), (401, "unauthenticated"), "{revoked:?}");
    let token = bench.installation.token(OTHER_EOA);
    let frozen = while_it_signs(&bench, &token, || drop(bench.installation.must(&["freeze"])));
    assert_eq!(frozen.code(), (503, "service_frozen"), "{frozen:?}");
    bench.stop();
    let records = bench.installation.records_of("scalar_mul");
    let outcomes: Vec<_> = records.iter().filter(|record| record["kind"] == "outcome").collect();
    let codes: Vec<_> = outcomes.iter().map(|outcome| outcome["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["ok", "key_disabled", "unauthenticated", "service_frozen"]);
    assert!(outcomes[1..].iter().all(|outcome| outcome.get("signature_hash").is_none_or(Value::is_null)));
}
