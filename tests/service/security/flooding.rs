//! What unauthenticated clients can write: the log and the audit log stay small however many requests they send.

use std::process::Stdio;

use serde_json::json;

use crate::support::client::request;
use crate::support::{EOA, Installation};

/// Requests of the flood: far more than a minute's budget.
const REQUESTS: usize = 400;

#[test]
fn a_flood_of_refused_requests_writes_little_to_the_log_and_to_the_audit_log() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    let path = format!("/{}", "x".repeat(15_000));
    for number in 0..REQUESTS {
        assert_eq!(service.send(&request("GET", &path, None, None)).code(), (404, "not_found"));
        let guess = format!("kms_{number:064x}");
        let refused = service.get(&format!("/v1/keys/{EOA}"), Some(&guess));
        assert_eq!(refused.code(), (401, "unauthenticated"));
    }
    let log = service.log();
    assert!(log.len() < 60 * 1_000, "{} bytes of log for {REQUESTS} requests", log.len());
    assert!(log.lines().all(|line| line.len() < 1_000), "{log}");
    // An honest client is served and recorded as before.
    service.create(&token, EOA, "default");
    service.stop();
    let refusals = installation.records_of("keys.list");
    assert!(refusals.len() <= 30, "{} records of refusals", refusals.len());
    let counted = installation.records_of("refusals.counted");
    let sum: u64 = counted
        .iter()
        .filter(|it| it["code"] == "unauthenticated" && it["input"]["fields"]["operation"] == "keys.list")
        .map(|it| it["input"]["fields"]["count"].as_u64().unwrap())
        .sum();
    assert_eq!(refusals.len() as u64 + sum, REQUESTS as u64, "{counted:?}");
}

#[test]
fn what_a_request_says_begins_no_line_of_the_log() {
    let installation = Installation::new();
    let service = installation.serve_with(|command| {
        command.env("AVS_KMS__LOG__LEVEL", "info").stderr(Stdio::piped());
    });
    let answer = service.get("/v1/%0A2026-01-01%20ERROR", None);
    assert_eq!(answer.code(), (404, "not_found"));
    let bad = json!({"eoa\n2026 ERROR forged": EOA}).to_string();
    let answer = service.send(&request("POST", "/v1/auth/challenge", None, Some(&bad)));
    assert_eq!(answer.code(), (400, "invalid_request"));
    service.get("/healthz", None);
    let log = service.log();
    assert!(log.lines().all(|line| !line.starts_with("2026 ERROR")), "{log}");
    assert!(!log.contains("\n2026 ERROR"), "{log}");
}
