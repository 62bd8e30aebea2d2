//! Export of spans: with the cargo feature `otlp`, and its refusal without.

#[cfg(feature = "otlp")]
use std::sync::{Arc, Mutex};

#[cfg(feature = "otlp")]
use avs_kms::eigenlayer;
#[cfg(feature = "otlp")]
use serde_json::json;

#[cfg(feature = "otlp")]
use crate::operations::webhooks::server;
#[cfg(feature = "otlp")]
use crate::support::{EOA, Installation, point, until};

#[cfg(not(feature = "otlp"))]
#[test]
fn a_build_without_the_export_says_how_to_get_it() {
    let installation = crate::support::Installation::empty();
    let mut command = installation.command(&["serve"]);
    let output =
        command.env("AVS_KMS__TELEMETRY__OTLP_ENDPOINT", "http://127.0.0.1:9/v1/traces").output().unwrap();
    let said = crate::support::text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("telemetry.otlp_endpoint") && said.contains("--features otlp"), "{said}");
}

#[cfg(feature = "otlp")]
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

#[cfg(feature = "otlp")]
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
