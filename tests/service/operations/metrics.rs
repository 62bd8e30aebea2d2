//! Metrics of a running service, and that the files in deploy/ name no others.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use avs_kms::eigenlayer;
use serde_json::{Value, json};

use crate::support::{EOA, Installation, point};

pub(crate) fn scrape(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/plain"), "{head}");
    body.to_owned()
}

/// Every name of ours in a text.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("avs_kms_")).map(str::to_owned).collect()
}

fn file(name: &str) -> String {
    std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn every_figure_that_alerts_and_dashboard_name_is_there_and_nothing_secret_is() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    service.create(&token, EOA, "a-name-of-a-key");
    let body =
        json!({"eoa": EOA, "name": "a-name-of-a-key", "hash": point(&eigenlayer::hash_to_g1(&[1; 32]))});
    for _ in 0..3 {
        assert_eq!(service.post("/v1/scalar_mul", Some(&token), &body).status, 200);
    }
    assert_eq!(service.post("/v1/scalar_mul", None, &body).status, 401);
    let text = scrape(service.health.unwrap());

    let line = |wanted: &str| text.lines().any(|line| line == wanted);
    assert!(line(r#"avs_kms_requests_total{operation="scalar_mul",code="ok"} 3"#), "{text}");
    assert!(line(r#"avs_kms_requests_total{operation="scalar_mul",code="unauthenticated"} 1"#), "{text}");
    assert!(line(r#"avs_kms_enclave_operations_total{kind="multiply",result="ok"} 3"#), "{text}");
    assert!(line(r#"avs_kms_keys{state="active"} 1"#), "{text}");
    assert!(line("avs_kms_hsm_ready 1") && line("avs_kms_audit_writable 1"), "{text}");

    assert!(line("avs_kms_rotations_overdue 0") && line("avs_kms_next_rotation_due_seconds inf"), "{text}");
    let key = service.get(&format!("/v1/keys/{EOA}/a-name-of-a-key"), Some(&token));
    let id = key.body["operator_id"].as_str().unwrap();
    for gauge in ["age_seconds", "last_signature_timestamp_seconds"] {
        let begin = format!("avs_kms_key_{gauge}{{operator_id=\"{id}\"}} ");
        assert!(text.lines().any(|line| line.starts_with(&begin)), "{begin} is not in {text}");
    }

    let shown = names(&text);
    let mut spoken_of = names(&file("deploy/prometheus/alerts.yaml"));
    let dashboard: Value = serde_json::from_str(&file("deploy/grafana/dashboards/avs-kms.json")).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            spoken_of.extend(names(target["expr"].as_str().unwrap()));
        }
    }
    // Counters of trouble begin with the first trouble.
    let trouble = ["avs_kms_audit_failures_total", "avs_kms_pkcs11_errors_total"].map(str::to_owned);
    let missing: Vec<_> =
        spoken_of.iter().filter(|name| !shown.contains(*name) && !trouble.contains(*name)).collect();
    assert!(spoken_of.len() > 15 && missing.is_empty(), "{missing:?} are not among {shown:?}");

    // The page lists every metric: histograms without their three series.
    let page = names(&file("docs/reference/metrics.md"));
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let listed: BTreeSet<_> = types.filter_map(|rest| rest.split(' ').next()).map(str::to_owned).collect();
    let unlisted: Vec<_> = listed.difference(&page).collect();
    let gone: Vec<_> = page.difference(&listed).filter(|name| !trouble.contains(*name)).collect();
    assert!(unlisted.is_empty() && gone.is_empty(), "not on the page: {unlisted:?}; only there: {gone:?}");

    let lower = text.to_lowercase();
    for secret in [token.as_str(), &EOA[2..], "a-name-of-a-key", "req_", "tok_"] {
        assert!(!lower.contains(&secret.to_lowercase()), "{secret} is a label");
    }
}

#[test]
fn only_the_health_listener_serves_metrics() {
    let installation = Installation::new();
    let service = installation.serve();
    assert_eq!(service.get("/metrics", None).code(), (404, "not_found"));
}

#[test]
fn the_health_command_says_by_its_exit_status_whether_the_service_is_ready() {
    let installation = Installation::new();
    assert_eq!(installation.run(&["health"]).status.code(), Some(1));
    let service = installation.serve();
    assert_eq!(installation.must(&["health"]), "ready");
    service.kill();
    assert_eq!(installation.run(&["health"]).status.code(), Some(1));
}
