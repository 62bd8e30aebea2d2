#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test

use std::error::Error as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::*;

/// A server that takes one request and answers with these bytes; gives back what it was sent.
pub(crate) fn answering(answer: Vec<u8>) -> (Endpoint, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://user:key@{}/secret?key=1", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut stream = BufReader::new(stream);
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
        request.push_str(str::from_utf8(&body).unwrap());
        // The client may have gone away already.
        let _ = stream.get_mut().write_all(&answer);
        request
    });
    (url.parse().unwrap(), server)
}

async fn posted(endpoint: &Endpoint) -> Result<Reply, OutboundError> {
    let outbound = Outbound::new(Duration::from_secs(2)).unwrap();
    outbound.post_json(endpoint, &[("x-signature", "abc")], b"{}".to_vec()).await
}

#[tokio::test]
async fn a_post_carries_its_headers_and_brings_status_and_body_back() {
    let (endpoint, server) = answering(b"HTTP/1.1 503 x\r\ncontent-length: 2\r\n\r\nno".to_vec());
    let reply = posted(&endpoint).await.unwrap();
    assert_eq!((reply.status, reply.is_success(), reply.body.as_slice()), (503, false, b"no".as_slice()));
    let request = server.join().unwrap();
    assert!(request.starts_with("POST /secret?key=1 HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("x-signature: abc\r\n") && request.contains("application/json"), "{request}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (endpoint, _server) =
        answering(b"HTTP/1.1 307 x\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".to_vec());
    assert_eq!(posted(&endpoint).await.unwrap().status, 307);
}

#[tokio::test]
async fn an_endless_answer_is_cut_and_a_silent_server_is_left() {
    let long = MAX_ANSWER_BYTES + 1;
    let mut answer = format!("HTTP/1.1 200 x\r\ncontent-length: {long}\r\n\r\n").into_bytes();
    answer.resize(answer.len() + long, b' ');
    let (endpoint, _server) = answering(answer);
    assert!(matches!(posted(&endpoint).await, Err(OutboundError::TooLong(_))));

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap()).parse().unwrap();
    let outbound = Outbound::new(Duration::from_millis(200)).unwrap();
    let result = outbound.post_json(&endpoint, &[], b"{}".to_vec()).await;
    assert!(matches!(result, Err(OutboundError::Unreachable { cause, .. }) if cause.is_timeout()));
}

#[tokio::test]
async fn neither_the_endpoint_nor_an_error_shows_what_may_be_an_api_key() {
    let endpoint: Endpoint = "http://user:key1@127.0.0.1:9/key2?key=3".parse().unwrap();
    assert_eq!(endpoint.to_string(), "http://127.0.0.1:9");
    let error = posted(&endpoint).await.unwrap_err();
    let mut text = format!("{endpoint:?} {error} {error:?}");
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(&format!("{next} {next:?}"));
        cause = next.source();
    }
    assert!(!text.contains("key"), "{text}");
}

#[test]
fn only_addresses_of_http_services_are_endpoints() {
    for text in ["", "host", "ftp://host/", "https://", "/path", "https://host/#part", "file:///etc/passwd"] {
        assert!(text.parse::<Endpoint>().is_err(), "{text}");
    }
    assert_eq!("https://host:8545/v1".parse::<Endpoint>().unwrap().to_string(), "https://host:8545");
}
