//! Failures under a running service: signing stops, reads and health continue, and it recovers by itself.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

use avs_kms::eigenlayer;
use serde_json::json;

use crate::support::client;
use crate::support::{EOA, Installation, Running, point, until};

fn sign(service: &Running, token: &str) -> client::Answer {
    let body = json!({"eoa": EOA, "hash": point(&eigenlayer::hash_to_g1(&[8; 32]))});
    service.post("/v1/scalar_mul", Some(token), &body)
}

fn health(service: &Running, path: &str) -> u16 {
    client::send(service.health.unwrap(), &client::request("GET", path, None, None)).unwrap().status
}

#[test]
fn while_the_log_is_away_nothing_is_signed_and_reads_still_work() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    service.create(&token, EOA, "default");
    let right = sign(&service, &token);
    assert_eq!(right.status, 200);

    let (log, aside) = (installation.data().join("audit"), installation.data().join("aside"));
    fs::rename(&log, &aside).unwrap();
    assert_eq!(sign(&service, &token).code(), (503, "audit_unavailable"));
    assert_eq!((health(&service, "/healthz"), health(&service, "/readyz")), (200, 503));
    let key = service.get(&format!("/v1/keys/{EOA}/default"), Some(&token));
    assert_eq!(key.status, 200, "{key:?}");
    let created = service.post("/v1/keys", Some(&token), &json!({"eoa": EOA, "name": "another"}));
    assert_eq!(created.code(), (503, "audit_unavailable"));

    fs::rename(&aside, &log).unwrap();
    until("the log is back", || sign(&service, &token).status == 200);
    assert_eq!(sign(&service, &token).body["signature"], right.body["signature"]);
    until("readiness is back", || health(&service, "/readyz") == 200);
    service.stop();
    installation.must(&["audit", "verify"]);
}

/// Overwrites every page but the first, in the file and in what waits beside it.
fn ruin(store: &Path) {
    for file in [store.to_owned(), store.with_extension("sqlite-wal")] {
        let Ok(mut file) = fs::OpenOptions::new().write(true).open(&file) else { continue };
        let length = file.metadata().unwrap().len();
        file.seek(SeekFrom::Start(4096.min(length))).unwrap();
        file.write_all(&vec![0xA5; usize::try_from(length.saturating_sub(4096)).unwrap()]).unwrap();
        file.sync_all().unwrap();
    }
}

#[test]
fn over_a_store_that_is_ruined_no_wrong_key_signs_and_the_next_start_refuses() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    service.create(&token, EOA, "default");
    let right = sign(&service, &token);
    ruin(&installation.data().join("store.sqlite"));
    for _ in 0..20 {
        let answer = sign(&service, &token);
        let refused = matches!(answer.status, 401 | 500 | 503);
        assert!(refused || answer.body["signature"] == right.body["signature"], "{answer:?}");
    }
    // SQLite works on what it has in memory: it may do it, or notice.
    let created = service.post("/v1/keys", Some(&token), &json!({"eoa": EOA, "name": "another"}));
    assert!(matches!(created.status, 201 | 500 | 503), "{created:?}");
    assert!(!created.raw.contains("sqlite") && !created.raw.contains("malformed"), "{created:?}");
    assert_eq!(health(&service, "/healthz"), 200);
    service.stop();

    let refused = installation.run(&["serve"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("store.sqlite"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}
