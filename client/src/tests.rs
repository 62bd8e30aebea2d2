#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::*;

const EOA: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

/// A service that sends these responses, one per connection, and returns the requests. An empty
/// response breaks the connection.
fn service(answers: Vec<(u16, String)>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        answers.into_iter().map(|(status, answer)| serve_one(&listener, status, &answer)).collect()
    });
    (address, server)
}

fn serve_one(listener: &TcpListener, status: u16, answer: &str) -> String {
    let mut stream = BufReader::new(listener.accept().unwrap().0);
    let (mut request, mut length) = (String::new(), 0);
    while !request.ends_with("\r\n\r\n") {
        let start = request.len();
        assert_ne!(stream.read_line(&mut request).unwrap(), 0, "the head of a request ended early");
        if let Some(value) = request[start..].strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    request.push_str(std::str::from_utf8(&body).unwrap());
    if !answer.is_empty() {
        let head =
            format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", answer.len());
        stream.get_mut().write_all((head + answer).as_bytes()).unwrap();
    }
    request
}

fn busy(wait: u64) -> (u16, String) {
    let body = json!({
        "error": "too many requests are waiting", "code": "overloaded", "request_id": "req_1", "retry_after_ms": wait,
    });
    (503, body.to_string())
}

fn sent(request: &str) -> Value {
    serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test]
async fn an_overloaded_service_is_retried_after_the_wait_it_names() {
    let (address, server) = service(vec![busy(150), (0, String::new()), (200, "{}".into())]);
    let client = Client::new(&address, "kms_secret".to_owned().into()).unwrap();
    let begun = Instant::now();
    let answer: Value = client.post("/v1/keys", &json!({"eoa": EOA})).await.unwrap();
    assert_eq!(answer, json!({}));
    assert!(begun.elapsed() >= Duration::from_millis(150), "{:?}", begun.elapsed());
    let requests = server.join().unwrap();
    assert!(requests.iter().all(|request| *request == requests[0]), "{requests:?}");
    assert!(requests[0].contains("authorization: Bearer kms_secret\r\n"), "{requests:?}");
}

#[tokio::test]
async fn retries_end_at_their_number_and_at_their_time() {
    let twice = RetryPolicy { max_retries: 2, max_elapsed: Duration::from_secs(60) };
    let (address, server) = service(vec![busy(1), busy(1), busy(1)]);
    let client = Client::anonymous(&address).unwrap().with_retry_policy(twice);
    let error = client.get::<Value>("/readyz").await.unwrap_err();
    assert_eq!((error.api_error().unwrap().status, server.join().unwrap().len()), (503, 3));

    // A wait beyond the time limit does not start.
    let (address, _server) = service(vec![busy(3_600_000)]);
    let begun = Instant::now();
    let error = Client::anonymous(&address).unwrap().get::<Value>("/readyz").await.unwrap_err();
    let refused = error.api_error().unwrap();
    assert_eq!(
        (refused.code.as_str(), refused.retry_after),
        ("overloaded", Some(Duration::from_secs(3_600)))
    );
    assert!(begun.elapsed() < Duration::from_secs(5));

    // No service listens.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = Client::anonymous(&format!("http://{gone}")).unwrap().with_retry_policy(RetryPolicy::NONE);
    assert!(matches!(client.get::<Value>("/readyz").await, Err(ClientError::Unreachable(_))));
}

#[tokio::test]
async fn an_error_response_is_not_retried_and_keeps_its_fields() {
    let body = json!({"error": "the key is disabled", "code": "key_disabled", "request_id": "req_7", "field": "name"});
    let (address, server) = service(vec![(409, body.to_string())]);
    let client = Client::anonymous(&address).unwrap();
    let error = client.create_key(&KeyRef::new(EOA)).await.unwrap_err();
    assert_eq!(error.to_string(), "name: the key is disabled (key_disabled, req_7)");
    assert_eq!(error.api_error().unwrap().field.as_deref(), Some("name"));
    assert_eq!(server.join().unwrap().len(), 1);

    for (status, body) in [(500, "<html>"), (307, "{}"), (200, "[]"), (200, "{}")] {
        let (address, _server) = service(vec![(status, body.into())]);
        let result = Client::anonymous(&address).unwrap().keys(EOA).await;
        assert!(matches!(result, Err(ClientError::Malformed { .. })), "{status} {body} {result:?}");
    }
}

#[tokio::test]
async fn requests_have_the_form_of_the_api() {
    let (address, server) = service(vec![(200, "{}".into()); 5]);
    let client = Client::anonymous(&address).unwrap();
    let key = KeyRef::new(EOA).named("set-7").version(Version::Next);
    // The responses are empty, so each of these calls fails after the request was sent.
    let _ = client.scalar_mul(&key, &G1Point::from_bytes(&[7; 64])).await;
    let _ = client.sign_digest(&key.clone().version(Version::Number(3)), [1; 32]).await;
    let coordinator = Registration::bls_apk_registry(1, "0xcc").operator("0xdd");
    let _ = client.sign_registration(&key.clone().version(Version::Current), &coordinator).await;
    let _ = client.sign_registration(&key, &Registration::key_registrar(5, "0xcc", "0xaa", 7)).await;
    let _ = client.key(&KeyRef::new("../x?").named("a/b")).await;
    let requests = server.join().unwrap();
    let seven = format!("0x{}", "07".repeat(32));
    assert_eq!(
        requests[..4].iter().map(|request| sent(request)).collect::<Vec<_>>(),
        [
            json!({"eoa": EOA, "name": "set-7", "version": "next", "hash": {"x": seven, "y": seven}}),
            json!({"eoa": EOA, "name": "set-7", "version": 3, "digest": format!("0x{}", "01".repeat(32))}),
            json!({"eoa": EOA, "name": "set-7", "version": "current", "registry": "bls_apk_registry", "chain_id": 1,
                   "verifying_contract": "0xcc", "operator": "0xdd"}),
            json!({"eoa": EOA, "name": "set-7", "version": "next", "registry": "key_registrar", "chain_id": 5,
                   "verifying_contract": "0xcc", "avs": "0xaa", "operator_set_id": 7}),
        ]
    );
    assert!(
        requests[4].starts_with("GET /v1/keys/..%2Fx%3F/a%2Fb?limit=1000 HTTP/1.1\r\n"),
        "{}",
        requests[4]
    );
}

#[tokio::test]
async fn a_list_is_read_to_its_last_page() {
    let g1 = format!(r#"{{"x":"0x{0}","y":"0x{0}"}}"#, "07".repeat(32));
    let g2 = format!(r#"{{"x":["0x{0}","0x{0}"],"y":["0x{0}","0x{0}"]}}"#, "07".repeat(32));
    let record = |version: u32| {
        json!({
            "eoa": EOA, "name": "a", "curve": "bn254", "version": version, "state": "active",
            "g1": serde_json::from_str::<Value>(&g1).unwrap(), "g2": serde_json::from_str::<Value>(&g2).unwrap(),
            "key_data": format!("0x{}", "07".repeat(192)), "operator_id": format!("0x{}", "07".repeat(32)),
            "created_at_unix": 0,
        })
    };
    let page = |versions: &[u32], next: Value| json!({"keys": versions.iter().map(|&version| record(version)).collect::<Vec<_>>(), "next": next});
    let pages = [page(&[3, 2], "a/2".into()), page(&[1], Value::Null)];
    let (address, server) = service(pages.map(|page| (200, page.to_string())).into());
    let keys = Client::anonymous(&address).unwrap().keys(EOA).await.unwrap();
    assert_eq!(keys.iter().map(|key| key.version).collect::<Vec<_>>(), [3, 2, 1]);
    let requests = server.join().unwrap();
    assert!(requests[0].starts_with(&format!("GET /v1/keys/{EOA}?limit=1000 HTTP")), "{requests:?}");
    assert!(
        requests[1].starts_with(&format!("GET /v1/keys/{EOA}?limit=1000&after=a%2F2 HTTP")),
        "{requests:?}"
    );

    let shown = |versions: &[u32], next: Value| {
        let mut shown = record(3);
        shown["versions"] = page(versions, Value::Null)["keys"].clone();
        shown["next"] = next;
        (200, shown.to_string())
    };
    let (address, server) = service(vec![shown(&[3, 2], 2.into()), shown(&[1], Value::Null)]);
    let key = Client::anonymous(&address).unwrap().key(&KeyRef::new(EOA)).await.unwrap();
    assert_eq!(key.versions.iter().map(|key| key.version).collect::<Vec<_>>(), [3, 2, 1]);
    assert!(server.join().unwrap()[1].contains("after=2 HTTP"));
}

#[test]
fn debug_hides_the_access_token_and_no_address_takes_it_in_the_clear() {
    let client = Client::new("https://kms.example/path/", "kms_secret".to_owned().into()).unwrap();
    assert!(!format!("{client:?}").contains("secret"));
    for address in
        ["http://localhost:1", "http://127.0.0.1", "http://[::1]:8254/", "https://kms.example:8443"]
    {
        assert!(Client::anonymous(address).is_ok(), "{address}");
    }
    for address in [
        "http://kms.example",
        "http://127.0.0.1.example",
        "http://10.0.0.1:8254",
        "https://user:password@kms.example",
        "https://kms.example/?key=1",
        "ftp://127.0.0.1",
        "kms.example",
        "",
    ] {
        assert!(matches!(Client::anonymous(address), Err(ClientError::Address(_))), "{address}");
    }
}

#[test]
fn bytes_parse_in_every_form_and_only_at_their_length() {
    let read = |text: &str| serde_json::from_value::<Bytes<2>>(json!(text)).map(|bytes| bytes.0);
    for text in ["0xabcd", "abcd", "0xABCD"] {
        assert_eq!(read(text).unwrap(), [0xab, 0xcd], "{text}");
    }
    for text in ["", "0x", "0xabc", "0xab", "0xabcdef", "0xzzzz"] {
        assert!(read(text).is_err(), "{text}");
    }
}
