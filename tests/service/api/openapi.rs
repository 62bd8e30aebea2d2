//! `/openapi.json`, and the page for browsers.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::support::{EOA, Installation, text};

#[test]
fn the_document_is_served_and_its_examples_are_what_the_service_answers() {
    let installation = Installation::new();
    let eoa = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
    let token = installation.token(eoa);
    let service = installation.serve();
    let document = service.get("/openapi.json", None).body;
    assert_eq!(document["openapi"], "3.1.0");
    let mut tried = 0;
    for path in
        ["/v1/keys", "/v1/scalar_mul", "/v1/sign/digest", "/v1/sign/registration", "/v1/sign/certificate"]
    {
        let call = &document["paths"][path]["post"];
        let request = &call["requestBody"]["content"]["application/json"]["example"];
        let answer = service.post(path, Some(&token), request);
        let shown = &call["responses"][answer.status.to_string()]["content"]["application/json"]["example"];
        assert!(answer.status < 300, "{path}: {answer:?}");
        assert_eq!(names(&answer.body), names(shown), "{path}");
        tried += 1;
    }
    for path in ["/healthz", "/readyz", "/version", "/v1/audit/checkpoint"] {
        let shown =
            &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["example"];
        assert_eq!(names(&service.get(path, None).body), names(shown), "{path}");
        tried += 1;
    }
    assert_eq!(tried, 9);
    assert_ne!(eoa, EOA);
}

/// The names of all members, at every depth.
fn names(value: &Value) -> Vec<String> {
    let mut names: Vec<_> = value
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(name, value)| {
            let inner = names(value).into_iter().map(move |inner| format!("{name}.{inner}"));
            std::iter::once(name.clone()).chain(inner)
        })
        .collect();
    names.sort();
    names
}

#[test]
fn the_page_may_reach_this_service_and_nothing_else() {
    let installation = Installation::new();
    let service = installation.serve();
    let mut stream = TcpStream::connect(service.address).unwrap();
    stream.write_all(b"GET /docs HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").unwrap();
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw).unwrap();
    let page = text(&raw);
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-type: text/html"), "{head}");
    for rule in ["default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'"] {
        assert!(head.contains(rule), "{head}");
    }
    assert!(body.contains("openapi.json") && !body.contains("https://"), "{body}");
}
