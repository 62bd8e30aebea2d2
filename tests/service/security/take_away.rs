//! What only takes away (disable, revoke, freeze) while others saturate signing, creations, queues and limits.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::json;

use crate::security::fault_injection::Bench;
use crate::support::{EOA, OTHER_EOA, client, point, until};

const KEYS: usize = 12;

#[test]
fn however_many_create_and_sign_every_disable_revocation_and_freeze_is_answered() {
    let mut bench = Bench::with(&[
        ("AVS_KMS__LIMITS__MAX_CONCURRENT_REQUESTS", "2"),
        ("AVS_KMS__LIMITS__MAX_QUEUED_REQUESTS", "4"),
        ("AVS_KMS__LIMITS__QUEUE_TIMEOUT", "100ms"),
        ("AVS_KMS__LIMITS__REQUESTS_PER_ADDRESS", "60/s"),
        ("AVS_KMS__ENCLAVE__STALL_TIMEOUT", "15s"),
    ]);
    let installation = &bench.installation;
    let operator = installation.token_with(OTHER_EOA, &["keys:create", "keys:rotate"], "1h");
    let leaked: Vec<_> = (0..3).map(|_| installation.token(OTHER_EOA)).collect();
    let service = bench.service.as_ref().unwrap();
    for n in 0..KEYS {
        service.create(&operator, OTHER_EOA, &format!("theirs-{n}"));
    }
    // Each creation holds the turn to change keys for longer than others wait, and each signature a worker.
    bench.rules("C_CreateObject slow delay_ms=1500\nC_Decrypt slow delay_ms=300");
    let (address, attacker) = (service.address, &bench.token);
    let (done, refused) = (AtomicBool::new(false), AtomicUsize::new(0));
    let ask = |path: &str, body: &serde_json::Value| {
        if let Some(answer) = client::post(address, path, attacker, body)
            && matches!(answer.status, 429 | 503 | 504)
        {
            refused.fetch_add(1, Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        for creator in 0..6 {
            let (ask, done) = (&ask, &done);
            scope.spawn(move || {
                for n in 0.. {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    ask("/v1/keys", &json!({"eoa": EOA, "name": format!("new-{creator}-{n}")}));
                }
            });
        }
        for _ in 0..8 {
            let (ask, done) = (&ask, &done);
            let sign = json!({"eoa": EOA, "name": "one", "hash": point(&hsm::G1Point::generator())});
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    ask("/v1/scalar_mul", &sign);
                }
            });
        }
        // Ends the others also when an assertion fails.
        let ended = End(&done);
        until("the others are refused", || refused.load(Ordering::Relaxed) > 20);
        for n in 0..KEYS {
            let body = json!({"eoa": OTHER_EOA, "name": format!("theirs-{n}")});
            let answer = client::post(address, "/v1/keys/disable", &operator, &body).unwrap();
            assert_eq!((answer.status, &answer.body["changed"]), (200, &json!(true)), "{n}: {answer:?}");
        }
        for token in &leaked {
            let answer = client::post(address, "/v1/auth/revoke", token, &json!({})).unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        installation.must(&["access-token", "revoke", "--eoa", OTHER_EOA]);
        installation.must(&["freeze"]);
        let frozen = refused.load(Ordering::Relaxed);
        until("they are still at it", || refused.load(Ordering::Relaxed) > frozen);
        drop(ended);
    });
    bench.rules("");
    bench.stop();
    assert_eq!(bench.installation.records_of("keys.disable").len(), 2 * KEYS);
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn an_unknown_credential_gets_no_place_of_its_own() {
    let bench = Bench::with(&[("AVS_KMS__LIMITS__REQUESTS_PER_ADDRESS", "5/s")]);
    let service = bench.service.as_ref().unwrap();
    let wrong = format!("kms_{}", "0".repeat(64));
    let body = json!({"eoa": EOA, "name": "one"});
    let codes: Vec<_> = (0..12)
        .map(|_| client::post(service.address, "/v1/keys/disable", &wrong, &body).unwrap().status)
        .collect();
    assert!(codes.contains(&429) && codes.contains(&401), "{codes:?}");
    assert!(codes.iter().all(|code| matches!(code, 401 | 429)), "{codes:?}");
}
