//! Reload by SIGHUP, and the spans that a collector receives.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use avs_kms::eigenlayer;
use serde_json::json;

use crate::operations::webhooks::server;
use crate::support::{EOA, Installation, Running, point, until};

/// As an editor saves: a new file takes the place of the old.
fn write(file: &Path, text: &str) {
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, file).unwrap();
}

/// Whether some of this many requests at once exceed the rate.
fn is_limited(service: &Running, token: &str) -> bool {
    let path = format!("/v1/keys/{EOA}");
    (0..10).any(|_| service.get(&path, Some(token)).code() == (429, "rate_limited"))
}

#[test]
fn limits_and_the_level_of_the_log_are_read_again_and_a_bad_file_changes_nothing() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("avs-kms.toml");
    write(&file, "");
    let service = installation.serve_with(|command| {
        command.env("AVS_KMS_CONFIG", &file);
    });
    assert!(!is_limited(&service, &token));

    // Nothing below an error is said from here on.
    write(&file, "[limits]\nrequests_per_token = 1\n[log]\nlevel = \"error\"\n");
    service.reload();
    until("the new limit holds", || is_limited(&service, &token));
    let _ = service.log();
    write(&file, "[limits]\nrequests_per_tokn = 0\nqueue_timeout = \"soon\"\n");
    service.reload();
    let mut said = String::new();
    until("the bad file is refused", || {
        said += &service.log();
        said.contains("everything stays as it was")
    });
    assert!(said.contains("there is no such setting") && said.contains("limits.queue_timeout"), "{said}");
    assert!(!said.contains(" INFO ") && !said.contains(" WARN "), "{said}");
    until("the limit still holds", || is_limited(&service, &token));

    write(&file, "[limits]\nrequests_per_token = 0\n[server]\nrequest_deadline = \"7s\"\n");
    service.reload();
    until("what takes a restart is named", || {
        said += &service.log();
        said.contains("only [limits] and log.level hold before a restart")
    });
    assert!(!is_limited(&service, &token));
    service.stop();
    let codes: Vec<_> =
        installation.records_of("service.reload").iter().map(|record| record["code"].clone()).collect();
    assert_eq!(codes, ["ok", "invalid_configuration", "ok"]);
}

#[test]
fn spans_of_requests_reach_a_collector_and_hold_no_credentials() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let seen = Arc::new(Mutex::new(String::new()));
    let url = {
        let seen = Arc::clone(&seen);
        server(move |came| {
            assert!(came.head.contains("application/x-protobuf"), "{}", came.head);
            *seen.lock().unwrap() += &came.body;
            (200, String::new())
        })
    };
    let service = installation.serve_with(|command| {
        // What the lines leave out has spans all the same.
        command
            .env("AVS_KMS__TELEMETRY__OTLP_ENDPOINT", &url)
            .env("AVS_KMS__LOG__LEVEL", "avs_kms::cli=info");
    });
    service.create(&token, EOA, "default");
    let body = json!({"eoa": EOA, "hash": point(&eigenlayer::hash_to_g1(&[3; 32]))});
    let answer = service.post("/v1/scalar_mul", Some(&token), &body);
    assert_eq!(answer.status, 200);
    assert_eq!(service.post("/v1/scalar_mul", None, &body).status, 401);
    let id = answer.head.split("req_").nth(1).unwrap()[..32].to_owned();
    // The last spans go out before the end.
    service.stop();
    let seen = seen.lock().unwrap();
    for word in ["avs-kms", "request", "scalar_mul", "keys.create", "unauthenticated", &id] {
        assert!(seen.contains(word), "no {word} in {seen:?}");
    }
    assert!(!seen.contains("hyper") && !seen.contains(&token) && !seen.contains("key=secret"));
}

#[test]
fn a_collector_that_is_not_there_costs_no_request_and_no_clean_end() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve_with(|command| {
        command.env("AVS_KMS__TELEMETRY__OTLP_ENDPOINT", "http://127.0.0.1:9/v1/traces");
    });
    service.create(&token, EOA, "default");
    // A batch goes every few seconds.
    until("the loss is said", || service.log().contains("spans were not delivered"));
    assert_eq!(service.stop(), Some(0));
}
