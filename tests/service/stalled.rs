//! What happens to others, and to the rules, while a call of the PKCS#11 module takes its time.

use std::thread;
use std::time::Duration;

use avs_kms::eigenlayer;
use serde_json::{Value, json};

use crate::client;
use crate::shim::Bench;
use crate::support::{EOA, OTHER_EOA, point};

fn wish(eoa: &str, name: &str) -> Value {
    json!({"eoa": eoa, "name": name, "hash": point(&eigenlayer::hash_to_g1(&[5; 32]))})
}

#[test]
fn however_many_keys_are_being_made_others_sign() {
    let mut bench = Bench::with(&[("AVS_KMS__LIMITS__IN_FLIGHT", "4")]);
    let other = bench.installation.token(OTHER_EOA);
    let service = bench.service.as_ref().unwrap();
    service.create(&other, OTHER_EOA, "theirs");
    bench.rules("C_CreateObject slow delay_ms=1000 times=1");
    let (address, token) = (service.address, &bench.token);
    let created: Vec<_> = thread::scope(|scope| {
        let create = |n: usize| {
            let wish = json!({"eoa": EOA, "name": format!("new-{n}")});
            client::post(address, "/v1/keys", token, &wish).unwrap()
        };
        let clients: Vec<_> = (0..12).map(|n| scope.spawn(move || create(n))).collect();
        // Long enough for all of them to have come, too short for one of them to be done.
        thread::sleep(Duration::from_millis(400));
        for _ in 0..3 {
            let answer = client::post(address, "/v1/scalar_mul", &other, &wish(OTHER_EOA, "theirs")).unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let codes: Vec<_> = created.iter().map(client::Answer::code).collect();
    assert!(codes.iter().any(|(status, _)| *status == 201), "{codes:?}");
    assert!(codes.contains(&(503, "overloaded")), "{codes:?}");
    bench.stop();
}
