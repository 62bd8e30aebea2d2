//! Inputs that two parsers could understand differently: smuggled heads, doubled members, odd encodings.

use std::io::{Read, Write};
use std::net::TcpStream;

use avs_kms::eigenlayer;
use serde_json::{Value, json};

use crate::support::client::{Answer, request};
use crate::support::{EOA, Installation, Running, point, text};

fn post_bytes(service: &Running, token: &str, path: &str, body: &[u8]) -> Answer {
    let mut bytes = format!(
        "POST {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    service.send(&bytes)
}

#[test]
fn names_that_only_look_right_are_refused() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    for name in [
        "dеfault",         // Cyrillic е
        "ｄefault",        // full width
        "default\u{200b}", // zero width space
        "\u{202e}tluafed", // right to left
        "de\u{301}fault",  // combining accent
        "d\u{0131}g",      // dotless i
        "default\u{feff}", // byte order mark
        "default\0",
        "default\n",
        " default",
        "default ",
        "ﬁ", // a ligature that NFKC would make ascii
    ] {
        let answer = service.post("/v1/keys", Some(&token), &json!({"eoa": EOA, "name": name}));
        assert_eq!(
            (answer.code(), &answer.body["field"]),
            ((400, "invalid_request"), &json!("name")),
            "{name:?}"
        );
    }
    for digits in
        ["０x70997970C51812dc3A010C7d01b50e0d17dc79C8", "0x70997970С51812dc3A010C7d01b50e0d17dc79C8"]
    {
        let answer = service.post("/v1/keys", Some(&token), &json!({"eoa": digits}));
        assert_eq!(answer.code(), (400, "invalid_address"), "{digits}");
    }
    // Percent-encoded it is no better.
    assert_eq!(service.get(&format!("/v1/keys/{EOA}/%D0%B0"), Some(&token)).code(), (400, "invalid_request"));
    let keys = service.get(&format!("/v1/keys/{EOA}"), Some(&token));
    assert_eq!(keys.body["keys"], json!([]));
}

#[test]
fn numbers_are_whole_and_fit_or_are_refused() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    service.create(&token, EOA, "default");
    let huge = "9".repeat(10_000);
    for number in [
        "0",
        "-1",
        "1.0",
        "1.5",
        "1e0",
        "1e999",
        "-1e999",
        "4294967296",
        "18446744073709551616",
        "true",
        "\"1\"",
        "[1]",
        &huge,
    ] {
        let hash = point(&eigenlayer::hash_to_g1(&[1; 32]));
        let body = format!(r#"{{"eoa":"{EOA}","version":{number},"hash":{hash}}}"#);
        let answer = post_bytes(&service, &token, "/v1/scalar_mul", body.as_bytes());
        assert_eq!(answer.code(), (400, "invalid_request"), "{number:.30}");
    }
    for query in [
        "after=-1",
        "after=1.0",
        "after=%2B1",
        "after=1e3",
        "limit=0",
        "limit=1001",
        "after=99999999999999999999",
        "after=1&after=2",
        "after",
        "=1",
    ] {
        let reader = installation.token_with(EOA, &["audit:read"], "1h");
        let answer = service.get(&format!("/v1/audit?{query}"), Some(&reader));
        assert_eq!(answer.code(), (400, "invalid_request"), "{query}");
    }
    let token = installation.token_with(EOA, &["audit:read", "keys:read"], "1h");
    for call in ["audit", "events"] {
        for number in ["-1", "1.0", "0x1", "+1x", "9223372036854775808", &huge] {
            let answer = service.get(&format!("/v1/{call}?after={number}"), Some(&token));
            assert_eq!(answer.code(), (400, "invalid_request"), "{call} {number:.30}");
        }
        assert_eq!(service.get(&format!("/v1/{call}?after=9223372036854775807"), Some(&token)).status, 200);
    }
}

#[test]
fn bytes_that_are_not_utf_8_are_refused_wherever_they_stand() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    let with = |bad: &[u8]| [br#"{"eoa":""#, EOA.as_bytes(), br#"","name":""#, bad, br#""}"#].concat();
    // Alone, overlong, a surrogate, cut off; and a lone surrogate by escape.
    for bad in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xe2\x82", br"\ud800"] {
        let answer = post_bytes(&service, &token, "/v1/keys", &with(bad));
        assert_eq!(answer.code(), (400, "invalid_request"), "{bad:?}");
    }
    let mut utf_16 = vec![0xff, 0xfe];
    utf_16.extend(format!(r#"{{"eoa":"{EOA}"}}"#).encode_utf16().flat_map(u16::to_le_bytes));
    assert_eq!(post_bytes(&service, &token, "/v1/keys", &utf_16).code(), (400, "invalid_request"));
    let header = [
        format!("GET /v1/keys/{EOA} HTTP/1.1\r\nHost: t\r\nConnection: close\r\nAuthorization: Bearer kms_")
            .as_bytes(),
        b"\xff\xfe\r\n\r\n",
    ]
    .concat();
    assert_eq!(service.send(&header).code(), (401, "unauthenticated"));
}

#[test]
fn one_member_by_two_spellings_is_one_member_twice() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    for body in [
        format!(r#"{{"eoa":"{EOA}","\u0065oa":"{EOA}"}}"#),
        format!(r#"{{"eoa":"{EOA}","name":"a","n\u0061me":"b"}}"#),
        format!(r#"{{"eoa":"{EOA}"}}{{"eoa":"{EOA}"}}"#),
        format!(r#"{{"eoa":"{EOA}"}},"#),
        format!(r#"{{"eoa":"{EOA}",}}"#),
        format!(r#"{{"eoa":"{EOA}"/*x*/}}"#),
        format!(r#"{{'eoa':'{EOA}'}}"#),
        "NaN".to_owned(),
        format!("{{\"eoa\":{}}}", "{\"a\":".repeat(5_000)),
    ] {
        let answer = post_bytes(&service, &token, "/v1/keys", body.as_bytes());
        assert_eq!(answer.code(), (400, "invalid_request"), "{body:.80}");
    }
}

#[test]
fn what_a_client_says_of_itself_in_headers_is_not_believed() {
    let installation = Installation::new();
    let service = installation.serve();
    let forged = "req_00000000000000000000000000000000";
    let bytes = format!(
        "GET /v1/keys/{EOA} HTTP/1.1\r\nHost: t\r\nConnection: close\r\nX-Request-Id: {forged}\r\nX-Forwarded-For: 192.0.2.7\r\nForwarded: for=192.0.2.7\r\nX-HTTP-Method-Override: POST\r\nX-Original-URL: /healthz\r\n\r\n"
    );
    let answer = service.send(bytes.as_bytes());
    assert_eq!(answer.code(), (401, "unauthenticated"));
    assert_ne!(answer.body["request_id"], json!(forged));
    assert!(answer.head.contains(answer.body["request_id"].as_str().unwrap()), "{}", answer.head);
    service.stop();
    let record: Value = installation.records_of("keys.list").remove(0);
    assert!(
        record.to_string().contains("127.0.0.1") && !record.to_string().contains("192.0.2.7"),
        "{record}"
    );
}

#[test]
fn a_request_hidden_in_another_is_not_answered() {
    let installation = Installation::new();
    let service = installation.serve();
    // Content-Length and Transfer-Encoding disagree: the front and the back of a proxy would read two different things.
    let hidden = "GET /version HTTP/1.1\r\nHost: t\r\n\r\n";
    let body = format!("0\r\n\r\n{hidden}");
    for head in [
        format!(
            "POST /v1/keys HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
            body.len()
        ),
        format!(
            "POST /v1/keys HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nContent-Length: {}\r\n\r\n",
            body.len()
        ),
        format!("POST /v1/keys HTTP/1.1\r\nHost: t\r\nContent-Length: +{}\r\n\r\n", body.len()),
        "POST /v1/keys HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked, identity\r\n\r\n".to_owned(),
    ] {
        let mut stream = TcpStream::connect(service.address).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
        let _ = stream.write_all(format!("{head}{body}").as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut raw = Vec::new();
        let _ = stream.read_to_end(&mut raw);
        let raw = text(&raw);
        assert!(!raw.contains("\"name\":\"avs-kms\""), "{head}{raw}");
    }
    for path in [
        "/v1/keys/..%2f..%2fetc%2fpasswd",
        "/v1/keys/%00",
        "/%2f/healthz",
        "/healthz%00",
        "/healthz;x",
        "/HEALTHZ",
        "/healthz/",
    ] {
        let answer = service.send(&request("GET", path, None, None));
        assert!(matches!(answer.code().0, 400 | 401 | 404), "{path}: {answer:?}");
    }
}
