//! Signed requests: an EIP-712 signature per request in place of an access token.

use serde_json::{Value, json};

use crate::support::client::{self, Answer};
use crate::support::wallet::Wallet;
use crate::support::{EOA, Installation, OTHER_EOA, Running};

/// The header for one request, by way of `GET /v1/auth/typed-data`.
pub(crate) fn authorization(
    service: &Running,
    wallet: &Wallet,
    eoa: &str,
    method: &str,
    path: &str,
    body: &str,
) -> String {
    let hash = alloy_primitives::keccak256(body);
    let escaped = path.replace('%', "%25").replace('&', "%26").replace('?', "%3F");
    let query = format!("/v1/auth/typed-data?method={method}&path={escaped}&body_hash={hash}");
    let object = service.get(&query, None);
    assert_eq!(object.status, 200, "{object:?}");
    assert_eq!(object.body["typed_data"]["message"]["path"], path);
    let signature = wallet.typed(&object.body["typed_data"]);
    let template = object.body["authorization"].as_str().unwrap();
    template.replace("<address>", eoa).replace("<signature>", &signature)
}

fn send(service: &Running, method: &str, path: &str, authorization: &str, body: &str) -> Answer {
    service.send(text(method, path, authorization, body).as_bytes())
}

fn text(method: &str, path: &str, authorization: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\nAuthorization: {authorization}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

pub(crate) fn post(service: &Running, wallet: &Wallet, eoa: &str, path: &str, body: &Value) -> Answer {
    let body = body.to_string();
    let authorization = authorization(service, wallet, eoa, "POST", path, &body);
    send(service, "POST", path, &authorization, &body)
}

#[test]
fn a_signed_request_does_what_its_operator_may_and_the_log_holds_the_signature() {
    let installation = Installation::new();
    let service = installation.serve();
    let wallet = Wallet::of(EOA);
    let created = post(&service, &wallet, EOA, "/v1/keys", &json!({"eoa": EOA}));
    assert_eq!(created.status, 201, "{created:?}");
    let path = format!("/v1/keys/{EOA}?limit=%37&state=active");
    let header = authorization(&service, &wallet, EOA, "GET", &path, "");
    assert_eq!(send(&service, "GET", &path, &header, "").status, 200);
    let other = post(&service, &wallet, EOA, "/v1/keys", &json!({"eoa": OTHER_EOA}));
    assert_eq!(other.code(), (403, "forbidden"));
    service.stop();
    let records = installation.records();
    let used: Vec<_> = records.iter().filter(|it| it["op"] == "auth.request").collect();
    assert_eq!(used.len(), 3);
    assert_eq!((&used[0]["actor"]["kind"], &used[0]["actor"]["eoa"]), (&json!("operator"), &json!(EOA)));
    assert_eq!(used[1]["input"]["fields"]["path"], path);
    assert_eq!(used[0]["input"]["fields"]["signature"].as_str().unwrap().len(), 132);
    let intent = records.iter().find(|it| it["op"] == "keys.create" && it["kind"] == "intent").unwrap();
    assert_eq!((&intent["actor"]["kind"], &intent["request"]), (&json!("operator"), &used[0]["request"]));
    assert!(used[0]["seq"].as_u64() < intent["seq"].as_u64());
}

#[test]
fn a_signature_works_once_also_over_restarts() {
    let installation = Installation::new();
    let fixed = |command: &mut std::process::Command| {
        command.env("AVS_KMS__AUTH__PUBLIC_URL", "https://kms.example/kms");
    };
    let service = installation.serve_with(fixed);
    let wallet = Wallet::of(EOA);
    let body = json!({"eoa": EOA}).to_string();
    let header = authorization(&service, &wallet, EOA, "POST", "/v1/keys", &body);
    let unused = authorization(&service, &wallet, EOA, "POST", "/v1/keys", &body);
    assert_eq!(send(&service, "POST", "/v1/keys", &header, &body).status, 201);
    assert_eq!(send(&service, "POST", "/v1/keys", &header, &body).code(), (401, "unauthenticated"));
    service.kill();
    let service = installation.serve_with(fixed);
    let replayed = send(&service, "POST", "/v1/keys", &header, &body);
    assert_eq!(replayed.code(), (401, "unauthenticated"));
    assert!(replayed.body["error"].as_str().unwrap().contains("already"), "{replayed:?}");
    assert_eq!(send(&service, "POST", "/v1/keys", &unused, &body).status, 200);
    service.stop();
    let service = installation.serve_with(fixed);
    for header in [&header, &unused] {
        assert_eq!(send(&service, "POST", "/v1/keys", header, &body).code(), (401, "unauthenticated"));
    }
}

#[test]
fn whatever_is_changed_after_signing_is_refused_and_does_not_use_the_signature_up() {
    let installation = Installation::new();
    let service = installation.serve();
    let wallet = Wallet::of(EOA);
    let body = json!({"eoa": EOA}).to_string();
    let header = authorization(&service, &wallet, EOA, "POST", "/v1/keys", &body);
    let mismatch = (401, "signature_mismatch");
    let tampered = json!({"eoa": OTHER_EOA}).to_string();
    assert_eq!(send(&service, "POST", "/v1/keys", &header, &tampered).code(), mismatch);
    assert_eq!(send(&service, "POST", "/v1/keys", &header, &(body.clone() + " ")).code(), mismatch);
    assert_eq!(send(&service, "POST", "/v1/keys?x", &header, &body).code(), mismatch);
    assert_eq!(send(&service, "POST", "/v1/scalar_mul", &header, &body).code(), mismatch);
    let path = "/v1/keys/schedule";
    let to_post = authorization(&service, &wallet, EOA, "POST", path, "");
    assert_eq!(send(&service, "GET", path, &to_post, "").code(), mismatch);
    assert_eq!(send(&service, "GET", "/v1/keys", &header, &body).code(), (405, "method_not_allowed"));
    let as_other = header.replace(EOA, OTHER_EOA);
    assert_eq!(send(&service, "POST", "/v1/keys", &as_other, &body).code(), mismatch);
    for (from, to) in [("EIP712 ", "EIP712  x"), ("issued=", "issued=-"), (",expires", ",nope=1,expires")] {
        let broken = header.replacen(from, to, 1);
        assert_eq!(send(&service, "POST", "/v1/keys", &broken, &body).code(), (401, "unauthenticated"));
    }
    let later = header.replacen("issued=1", "issued=2", 1);
    assert_eq!(send(&service, "POST", "/v1/keys", &later, &body).code(), (401, "unauthenticated"));
    let large = " ".repeat(64 * 1024 + 1);
    assert_eq!(send(&service, "POST", "/v1/keys", &header, &large).code(), (413, "body_too_large"));
    let two = format!("{header}\r\nAuthorization: {header}");
    assert_eq!(send(&service, "POST", "/v1/keys", &two, &body).code(), (401, "unauthenticated"));
    assert_eq!(send(&service, "POST", "/v1/keys", &header, &body).status, 201);
    service.stop();
    let refused = installation.records_of("auth.request");
    let mismatches: Vec<_> = refused.iter().filter(|it| it["code"] == "signature_mismatch").collect();
    assert!(mismatches.len() >= 6, "{refused:?}");
    assert_eq!(mismatches[0]["input"]["fields"]["eoa"], EOA);
}

#[test]
fn an_open_operation_does_not_check_a_request_signature() {
    let installation = Installation::new();
    let service = installation.serve();
    let wallet = Wallet::of(EOA);
    for (path, status) in [("/healthz", 200), ("/readyz", 200), ("/nowhere", 404)] {
        let header = authorization(&service, &wallet, EOA, "GET", path, "");
        assert_eq!(send(&service, "GET", path, &header, "").status, status, "{path}");
        let answer = client::send(service.health.unwrap(), text("GET", path, &header, "").as_bytes());
        assert_eq!(answer.unwrap().status, status, "{path}");
    }
    for path in ["/version", "/openapi.json", "/v1/auth/typed-data?path=/"] {
        let header = authorization(&service, &wallet, EOA, "GET", path, "");
        assert_eq!(send(&service, "GET", path, &header, "").status, 200, "{path}");
    }
    let broken = "EIP712 nonsense";
    assert_eq!(send(&service, "GET", "/healthz", broken, "").status, 200);
    service.stop();
    assert!(
        installation.records_of("auth.request").is_empty(),
        "{:?}",
        installation.records_of("auth.request")
    );
}
