//! Start, stop and kill of the service.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use avs_kms::eigenlayer;
use serde_json::json;

use crate::support::{EOA, Installation, point};

#[test]
fn a_restart_keeps_every_key_and_its_signatures() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    let names = ["default", "a", "b"];
    let keys = names.map(|name| service.create(&token, EOA, name));
    let sign = |service: &crate::support::Running, name: &str| {
        let hash = point(&eigenlayer::hash_to_g1(&[5; 32]));
        service.post("/v1/scalar_mul", Some(&token), &json!({"eoa": EOA, "name": name, "hash": hash})).body["signature"].clone()
    };
    let signatures = names.map(|name| sign(&service, name));
    assert_eq!(service.stop(), Some(0));
    let service = installation.serve();
    for ((name, key), signature) in names.iter().zip(&keys).zip(&signatures) {
        let shown = service.get(&format!("/v1/keys/{EOA}/{name}"), Some(&token)).body;
        assert_eq!((&shown["g1"], &shown["g2"]), (&key["g1"], &key["g2"]));
        assert_eq!(&sign(&service, name), signature);
    }
    service.kill();
    assert_eq!(&sign(&installation.serve(), "a"), &signatures[1]);
}

#[test]
fn health_and_version_are_open_and_readiness_needs_a_canary() {
    let installation = Installation::new();
    let service = installation.serve();
    assert!(!service.start.contains("WARN") && !service.start.contains("ERROR"), "{}", service.start);
    assert_eq!(service.get("/healthz", None).body, json!({"status": "ok"}));
    let ready = service.get("/readyz", None);
    assert_eq!((ready.status, &ready.body["status"]), (200, &json!("ready")), "{ready:?}");
    let version = service.get("/version", None);
    assert_eq!(version.body["version"], env!("CARGO_PKG_VERSION"));
    assert!(version.head.to_lowercase().contains("cache-control: no-store"));
}

#[test]
fn an_idle_service_stops_at_once_and_does_not_wait_for_the_grace_time() {
    let installation = Installation::new();
    let service =
        installation.serve_with(|command| _ = command.env("AVS_KMS__SERVER__SHUTDOWN_GRACE", "40s"));
    assert_eq!(service.get("/healthz", None).status, 200);
    let begun = Instant::now();
    assert_eq!(service.stop(), Some(0));
    // A loaded machine may be slow; the grace time is far longer.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn a_stop_under_load_answers_what_it_took_and_every_answer_is_in_the_log() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    service.create(&token, EOA, "default");
    let body = json!({"eoa": EOA, "hash": point(&eigenlayer::hash_to_g1(&[6; 32]))});
    let (address, token) = (service.address, &token);
    let count = AtomicUsize::new(0);
    let answered: Vec<u64> = thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut answered = Vec::new();
                    while let Some(answer) =
                        crate::support::client::post(address, "/v1/scalar_mul", token, &body)
                    {
                        match answer.status {
                            200 => {
                                answered.push(answer.body["audit"]["seq"].as_u64().unwrap());
                                count.fetch_add(1, Ordering::Relaxed);
                            }
                            _ => assert_eq!(answer.code(), (503, "shutting_down")),
                        }
                    }
                    answered
                })
            })
            .collect();
        let end = Instant::now() + Duration::from_secs(30);
        while count.load(Ordering::Relaxed) < 50 {
            assert!(Instant::now() < end, "not even 50 signatures");
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(service.stop(), Some(0));
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    let records = installation.records();
    let seqs: std::collections::HashSet<_> = records
        .iter()
        .filter(|record| record["kind"] == "intent")
        .map(|record| record["seq"].as_u64().unwrap())
        .collect();
    assert!(answered.iter().all(|seq| seqs.contains(seq)));
    assert_eq!(records.last().unwrap()["kind"], "stop");
}

#[test]
fn a_kill_under_load_loses_no_record_of_a_signature_that_a_client_has() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let mut answered = Vec::new();
    for round in 0..5 {
        let service = installation.serve();
        service.create(&token, EOA, "default");
        let body = json!({"eoa": EOA, "hash": point(&eigenlayer::hash_to_g1(&[round; 32]))});
        let (address, token) = (service.address, &token);
        thread::scope(|scope| {
            let client = scope.spawn(|| {
                let mut answered = Vec::new();
                while let Some(answer) = crate::support::client::post(address, "/v1/scalar_mul", token, &body)
                {
                    assert_eq!(answer.status, 200, "{answer:?}");
                    answered.push(answer.body["audit"]["seq"].as_u64().unwrap());
                }
                answered
            });
            thread::sleep(Duration::from_millis(120));
            service.kill();
            answered.extend(client.join().unwrap());
        });
    }
    assert!(!answered.is_empty());
    installation.serve().stop();
    installation.must(&["audit", "verify"]);
    let records = installation.records();
    for seq in answered {
        let record = &records[usize::try_from(seq).unwrap()];
        assert_eq!(
            (&record["seq"], &record["kind"], &record["op"]),
            (&json!(seq), &json!("intent"), &json!("scalar_mul"))
        );
    }
    // Every intent that lost its outcome to a kill was settled by the next start.
    let of = |kind: &str| records.iter().filter(|record| record["kind"] == kind).count();
    assert_eq!(of("intent"), of("outcome") + of("recovered"));
}

#[test]
fn creations_that_a_kill_interrupts_are_finished_or_undone() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let mut told = Vec::new();
    for round in 0..6_u32 {
        let service = installation.serve();
        let (address, token) = (service.address, &token);
        thread::scope(|scope| {
            let client = scope.spawn(move || {
                let mut told = Vec::new();
                for n in 0.. {
                    let name = format!("r{round}-{n}");
                    let body = json!({"eoa": EOA, "name": name});
                    let Some(answer) = crate::support::client::post(address, "/v1/keys", token, &body) else {
                        break;
                    };
                    assert_eq!(answer.status, 201, "{answer:?}");
                    told.push((name, answer.body["operator_id"].clone()));
                }
                told
            });
            thread::sleep(Duration::from_millis(u64::from(30 + 37 * round)));
            service.kill();
            told.extend(client.join().unwrap());
        });
    }
    assert!(!told.is_empty());
    let service = installation.serve();
    let hash = point(&eigenlayer::hash_to_g1(&[8; 32]));
    for (name, operator_id) in &told {
        let signed =
            service.post("/v1/scalar_mul", Some(&token), &json!({"eoa": EOA, "name": name, "hash": hash}));
        assert_eq!((signed.status, &signed.body["operator_id"]), (200, operator_id), "{signed:?}");
    }
    assert_eq!(service.stop(), Some(0));
    let records = installation.records();
    let of = |kind: &str| records.iter().filter(|record| record["kind"] == kind).count();
    assert_eq!(of("intent"), of("outcome") + of("recovered"));
}
