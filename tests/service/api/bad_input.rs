//! Invalid input of every kind: the documented code and message, and nothing changes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use avs_kms::eigenlayer;
use serde_json::{Value, json};

use crate::support::client::request;
use crate::support::{EOA, Installation, Running, point};

fn post_text(service: &Running, token: &str, path: &str, body: &str) -> (u16, String, Value) {
    let answer = service.send(&request("POST", path, Some(token), Some(body)));
    (answer.status, answer.code().1.to_owned(), answer.body["field"].clone())
}

#[test]
fn bodies_of_the_wrong_form_are_refused_by_name() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    let deep = format!("{{\"eoa\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
    for (body, field) in [
        ("", Value::Null),
        ("nonsense", Value::Null),
        ("[]", Value::Null),
        ("\"text\"", Value::Null),
        ("null", Value::Null),
        ("{", Value::Null),
        ("{\"eoa\":\"\u{0}\"}", Value::Null),
        (&deep, Value::Null),
        ("{}", json!("eoa")),
        (r#"{"eoa":1}"#, json!("eoa")),
        (r#"{"eoa":["0x"]}"#, json!("eoa")),
        (&format!(r#"{{"eoa":"{EOA}","eoa":"{EOA}"}}"#), Value::Null),
        (&format!(r#"{{"eoa":"{EOA}","colour":"red"}}"#), json!("colour")),
        (&format!(r#"{{"eoa":"{EOA}","name":"Default"}}"#), json!("name")),
        (&format!(r#"{{"eoa":"{EOA}","name":"а"}}"#), json!("name")),
        (&format!(r#"{{"eoa":"{EOA}","name":7}}"#), json!("name")),
        (&format!(r#"{{"eoa":"{EOA}","curve":"bls12381"}}"#), json!("curve")),
    ] {
        let answer = post_text(&service, &token, "/v1/keys", body);
        assert_eq!(answer, (400, "invalid_request".into(), field), "{:.80}", body);
    }
    let keys = service.get(&format!("/v1/keys/{EOA}"), Some(&token));
    assert_eq!(keys.body["keys"], json!([]), "a refused request made a key");
}

#[test]
fn wrong_addresses_are_refused() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    let bad_checksum = EOA.replacen('C', "c", 1);
    for wrong in ["", "0x", "0x12", "hello", &bad_checksum, &format!("{EOA}00"), &format!(" {EOA}")] {
        let answer = post_text(&service, &token, "/v1/keys", &json!({"eoa": wrong}).to_string());
        assert_eq!(answer, (400, "invalid_address".into(), json!("eoa")), "{wrong}");
    }
    for path in [format!("/v1/keys/{bad_checksum}"), "/v1/keys/%20".into(), "/v1/keys/0x/default".into()] {
        assert_eq!(service.get(&path, Some(&token)).code(), (400, "invalid_address"), "{path}");
    }
    assert_eq!(service.get("/v1/keys/%ff", Some(&token)).code(), (400, "invalid_request"));
    assert_eq!(service.get(&format!("/v1/keys/{EOA}/A"), Some(&token)).code(), (400, "invalid_request"));
}

#[test]
fn points_that_are_not_points_are_refused_each_with_its_code() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    service.create(&token, EOA, "default");
    let zero = format!("0x{}", "0".repeat(64));
    let one = format!("0x{}1", "0".repeat(63));
    let two = format!("0x{}2", "0".repeat(63));
    let p = "0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47";
    let p_and_one = "0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd48";
    let max = format!("0x{}", "f".repeat(64));
    for (hash, code, field) in [
        (json!({"x": zero, "y": zero}), "point_at_infinity", "hash"),
        (json!("00".repeat(64)), "point_at_infinity", "hash"),
        (json!({"x": one, "y": one}), "point_not_on_curve", "hash"),
        (json!({"x": zero, "y": two}), "point_not_on_curve", "hash"),
        (json!({"x": p_and_one, "y": two}), "coordinate_out_of_range", "hash"),
        (json!({"x": one, "y": p}), "coordinate_out_of_range", "hash"),
        (json!({"x": max, "y": max}), "coordinate_out_of_range", "hash"),
        (json!("0x"), "registry_not_found", "hash"),
        (json!("0x0x"), "registry_not_found", "hash"),
        (json!(""), "registry_not_found", "hash"),
        (json!("0x12"), "invalid_hex", "hash"),
        (json!("zz".repeat(64)), "invalid_hex", "hash"),
        (json!({"x": "0x1", "y": two}), "invalid_hex", "hash.x"),
        (json!({"x": "0x", "y": two}), "registry_not_found", "hash.x"),
        (json!({"X": one, "Y": "0xzz"}), "invalid_hex", "hash.Y"),
        (json!({"x": 1, "y": two}), "invalid_request", "hash.x"),
        (json!({"x": one}), "invalid_request", "hash.y"),
        (json!({"x": one, "y": two, "z": one}), "invalid_request", "hash.z"),
        (json!([one, two]), "invalid_request", "hash"),
        (json!(1), "invalid_request", "hash"),
        (json!(null), "invalid_request", "hash"),
    ] {
        let body = json!({"eoa": EOA, "hash": hash}).to_string();
        let answer = post_text(&service, &token, "/v1/scalar_mul", &body);
        assert_eq!(answer, (400, code.into(), json!(field)), "{hash}");
    }
    // Not one of them got as far as an intent.
    service.stop();
    assert!(installation.records_of("scalar_mul").iter().all(|record| record["kind"] == "event"));
}

#[test]
fn vectors_of_invalid_points_are_refused() {
    let vectors: Value = serde_json::from_str(include_str!("../../vectors/invalid-points.json")).unwrap();
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    service.create(&token, EOA, "default");
    let mut tried = 0;
    for vector in vectors["g1"].as_array().unwrap() {
        let hash = &vector["bytes"];
        let answer = service.post("/v1/scalar_mul", Some(&token), &json!({"eoa": EOA, "hash": hash}));
        assert_eq!(answer.status, 400, "{vector}");
        tried += 1;
    }
    assert!(tried >= 3, "the vectors are gone");
}

#[test]
fn wrong_methods_paths_types_and_sizes_have_their_own_codes() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        let answer = service.send(&request(method, "/v1/keys", Some(&token), None));
        assert_eq!(answer.code(), (405, "method_not_allowed"), "{method}");
    }
    assert_eq!(service.get("/v1/scalar_mul", Some(&token)).code(), (405, "method_not_allowed"));
    assert_eq!(service.post("/healthz", None, &json!({})).code(), (405, "method_not_allowed"));
    for path in ["/", "/v1", "/v1/keys/", "/v2/keys", "/v1/../etc", "/%2e%2e/%2e%2e/etc/passwd", "//v1/keys"]
    {
        assert_eq!(service.get(path, Some(&token)).code(), (404, "not_found"), "{path}");
    }
    for kind in ["", "Content-Type: text/plain\r\n", "Content-Type: application/jsonp\r\n"] {
        let bytes = format!(
            "POST /v1/keys HTTP/1.1\r\nHost: t\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n{kind}Content-Length: 2\r\n\r\n{{}}"
        );
        assert_eq!(service.send(bytes.as_bytes()).code(), (415, "unsupported_media_type"), "{kind}");
    }
    let large = json!({"eoa": EOA, "name": "a".repeat(70_000)}).to_string();
    let answer = service.send(&request("POST", "/v1/keys", Some(&token), Some(&large)));
    assert_eq!(answer.code(), (413, "body_too_large"));
    let chunk = "a".repeat(70_000);
    let chunked = format!(
        "POST /v1/keys HTTP/1.1\r\nHost: t\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{chunk}\r\n0\r\n\r\n",
        chunk.len()
    );
    assert_eq!(service.send(chunked.as_bytes()).code(), (413, "body_too_large"));
}

#[test]
fn half_a_request_does_not_hold_a_connection() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve_with(|command| {
        command.env("AVS_KMS__SERVER__HEADER_TIMEOUT", "300ms").env("AVS_KMS__SERVER__BODY_TIMEOUT", "300ms");
    });
    let begun = Instant::now();
    let mut header = TcpStream::connect(service.address).unwrap();
    header.write_all(b"GET /healthz HTTP/1.1\r\nHost:").unwrap();
    header.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut rest = Vec::new();
    header.read_to_end(&mut rest).unwrap();
    let half = format!(
        "POST /v1/keys HTTP/1.1\r\nHost: t\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    );
    assert_eq!(service.send(half.as_bytes()).code(), (400, "invalid_request"));
    assert!(begun.elapsed() < Duration::from_secs(15), "the deadlines of 300 ms did not hold");
    assert_eq!(service.get("/healthz", None).status, 200);
}

#[test]
fn names_from_outside_do_not_break_out_of_log_lines_or_answers() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    let body = "{\"a\\n2026 ERROR forged\\u001b[31m`\": 1, \"eoa\": \"".to_owned() + EOA + "\"}";
    let answer = service.send(&request("POST", "/v1/keys", Some(&token), Some(&body)));
    assert_eq!(answer.code(), (400, "invalid_request"));
    let field = answer.body["field"].as_str().unwrap();
    assert!(field.bytes().all(|byte| byte.is_ascii_graphic()), "{field:?}");
    service.get("/v1/%0a2026%20ERROR%20forged", Some(&token));
    std::thread::sleep(Duration::from_millis(100));
    let log = service.log();
    assert!(
        log.lines().all(|line| !line.starts_with("2026 ERROR") && !line.starts_with(" ERROR forged")),
        "{log}"
    );
    let hash = point(&eigenlayer::hash_to_g1(&[1; 32]));
    let version = json!({"eoa": EOA, "hash": hash, "version": "\n"});
    assert_eq!(service.post("/v1/scalar_mul", Some(&token), &version).code(), (400, "invalid_request"));
}
