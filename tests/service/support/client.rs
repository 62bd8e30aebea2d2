//! A client that shows every byte. Shared by the tests and the demonstration.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

pub(crate) fn request(method: &str, path: &str, token: Option<&str>, body: Option<&str>) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    if let Some(token) = token {
        text += &format!("Authorization: Bearer {token}\r\n");
    }
    if let Some(body) = body {
        text += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    }
    text += "\r\n";
    text += body.unwrap_or_default();
    text.into_bytes()
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Value,
    /// The body as it came.
    pub(crate) raw: String,
}

impl Answer {
    /// Every answer is a JSON object declared as such: asserted here, so for every answer of every test.
    fn parse(raw: &[u8]) -> Self {
        let raw = String::from_utf8_lossy(raw);
        let (head, body) = raw.split_once("\r\n\r\n").unwrap_or_else(|| panic!("not an answer: {raw:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let lower = head.to_ascii_lowercase();
        assert!(lower.contains("content-type: application/json"), "{head}\n{body}");
        let raw = body.to_owned();
        let body: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("not JSON: {body:?}"));
        assert!(body.is_object(), "{body}");
        assert!(lower.contains("x-request-id: req_"), "{head}");
        if status < 400 {
            assert!(body.get("error").is_none(), "{body}");
        } else {
            for member in ["error", "code", "request_id"] {
                assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{member} in {body}");
            }
            assert!(body["request_id"].as_str().unwrap().starts_with("req_"));
        }
        // What an operator must end has no time.
        let waits_for_operator =
            body["error"].as_str().is_some_and(|error| error.contains("until an operator acts"));
        if matches!(status, 429 | 503) && !waits_for_operator {
            assert!(body["retry_after_ms"].is_u64(), "{body}");
        }
        Self { status, head: head.to_owned(), body, raw }
    }

    pub(crate) fn code(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or("-"))
    }
}

/// Sends bytes as they are and reads the whole answer; `None` if there was no answer.
pub(crate) fn send(address: SocketAddr, bytes: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    // The service may answer and close before it has read everything.
    let _ = stream.write_all(bytes);
    let mut raw = Vec::new();
    let _ = stream.read_to_end(&mut raw);
    (!raw.is_empty()).then(|| Answer::parse(&raw))
}

/// Posts a JSON body; `None` if there was no answer.
pub(crate) fn post(address: SocketAddr, path: &str, token: &str, body: &Value) -> Option<Answer> {
    send(address, &request("POST", path, Some(token), Some(&body.to_string())))
}
