//! Trusted proxies name their clients: for limits, networks of access tokens and the audit log. No other client does.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::support::client::{self, Answer};
use crate::support::{EOA, Installation, Running};

/// A PROXY header of version 2 over IPv4.
fn proxy_header(client: [u8; 4]) -> Vec<u8> {
    let addresses =
        [&client[..], &[127, 0, 0, 1], &5_000_u16.to_be_bytes(), &8_254_u16.to_be_bytes()].concat();
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &addresses].concat()
}

fn get(path: &str, token: &str, headers: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n{headers}\r\n"
    )
    .into_bytes()
}

fn login(eoa: &str, headers: &str) -> Vec<u8> {
    let body = json!({ "eoa": eoa }).to_string();
    format!(
        "POST /v1/auth/challenge HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn serve(installation: &Installation, settings: &[(&str, &str)]) -> Running {
    installation.serve_with(|command| {
        for (name, value) in settings {
            command.env(format!("AVS_KMS__{name}"), value);
        }
    })
}

const TRUSTED: (&str, &str) = ("SERVER__TRUSTED_PROXIES", "127.0.0.0/8");
const V2: (&str, &str) = ("SERVER__PROXY_PROTOCOL", "v2");

fn token_for(installation: &Installation, network: &str) -> String {
    installation.must(&[
        "access-token",
        "issue",
        "--eoa",
        EOA,
        "--scope",
        "keys:create,keys:read",
        "--network",
        network,
    ])
}

#[test]
fn the_client_that_a_trusted_proxy_names_is_the_one_of_tokens_and_records() {
    let installation = Installation::new();
    let (here, there) = (installation.token(EOA), token_for(&installation, "203.0.113.0/24"));
    let path = format!("/v1/keys/{EOA}");
    let service = serve(&installation, &[TRUSTED]);
    let status = |token: &str, headers: &str| service.send(&get(&path, token, headers)).status;
    for headers in [
        "X-Forwarded-For: 203.0.113.7\r\n",
        "X-Forwarded-For: 127.0.0.1, 203.0.113.7, 127.0.0.2\r\n",
        "Forwarded: for=\"203.0.113.7:1\";proto=https\r\n",
        "Forwarded: for=203.0.113.7\r\nX-Forwarded-For: 203.0.113.7\r\n",
    ] {
        assert_eq!((status(&there, headers), status(&here, headers)), (200, 401), "{headers}");
    }
    // The proxy's own requests come from this host.
    assert_eq!((status(&there, ""), status(&here, "")), (401, 200));
    for headers in [
        "Forwarded: for=\"\r\n",
        "X-Forwarded-For: x\r\n",
        "Forwarded: for=1.1.1.1\r\nX-Forwarded-For: 1.1.1.2\r\n",
    ] {
        assert_eq!(service.send(&get(&path, &here, headers)).code(), (400, "invalid_request"), "{headers}");
    }
    let body = json!({"eoa": EOA}).to_string();
    let create = format!(
        "POST /v1/keys HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Forwarded-For: 203.0.113.7:99\r\n\
         Authorization: Bearer {there}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(service.send(create.as_bytes()).status, 201);
    service.stop();
    let created = installation.records_of("keys.create");
    assert_eq!(created[0]["actor"]["address"], "203.0.113.7:99", "{created:?}");
}

#[test]
fn the_headers_of_anyone_else_have_no_effect() {
    let installation = Installation::new();
    let (here, there) = (installation.token(EOA), token_for(&installation, "203.0.113.0/24"));
    let path = format!("/v1/keys/{EOA}");
    for settings in [&[][..], &[("SERVER__TRUSTED_PROXIES", "10.0.0.0/8,fd00::/8")]] {
        let service = serve(&installation, settings);
        for headers in
            ["X-Forwarded-For: 203.0.113.7\r\n", "Forwarded: for=203.0.113.7\r\n", "Forwarded: for=\"\r\n"]
        {
            assert_eq!(service.send(&get(&path, &there, headers)).status, 401, "{headers}");
            assert_eq!(service.send(&get(&path, &here, headers)).status, 200, "{headers}");
        }
        let spoofed = [proxy_header([203, 0, 113, 7]), get(&path, &there, "")].concat();
        let answer = client::send(service.address, &spoofed);
        assert!(answer.is_none_or(|answer| answer.status == 400), "a PROXY header of anyone was read");
        assert_eq!(service.stop(), Some(0));
    }
}

#[test]
fn two_clients_behind_one_proxy_do_not_lock_each_other_out() {
    let installation = Installation::new();
    let service = serve(
        &installation,
        &[TRUSTED, ("LIMITS__SIGNATURE_CHECKS_PER_ADDRESS", "3/s"), ("LIMITS__REQUESTS_PER_ADDRESS", "20/s")],
    );
    let ask = |client: &str| service.send(&login(EOA, &format!("X-Forwarded-For: {client}\r\n")));
    let flood: Vec<Answer> = (0..12).map(|_| ask("203.0.113.7")).collect();
    assert!(flood.iter().any(|answer| answer.code() == (429, "rate_limited")), "{flood:?}");
    assert_eq!(ask("203.0.113.8").status, 200);
    // What the flooding client writes itself changes nothing.
    let mut spoofed = (0..12).map(|n| ask(&format!("198.51.100.{n}, 203.0.113.7")));
    assert!(spoofed.any(|answer| answer.code() == (429, "rate_limited")));
}

#[test]
fn a_proxy_header_names_the_client_before_http_and_one_is_demanded_of_a_proxy() {
    let installation = Installation::new();
    let (here, there) = (installation.token(EOA), token_for(&installation, "203.0.113.0/24"));
    let path = format!("/v1/keys/{EOA}");
    let service = serve(&installation, &[TRUSTED, V2, ("LIMITS__CONNECTIONS_PER_ADDRESS", "2")]);
    let named = |client, request: &[u8]| {
        client::send(service.address, &[&proxy_header(client)[..], request].concat())
    };
    let (one, other) = ([203, 0, 113, 7], [203, 0, 113, 8]);
    assert_eq!(named(one, &get(&path, &there, "")).unwrap().status, 200);
    assert_eq!(named(one, &get(&path, &here, "")).unwrap().status, 401);
    // The client behind it is not trusted: its headers have no effect.
    assert_eq!(named(other, &get(&path, &here, "X-Forwarded-For: 127.0.0.1\r\n")).unwrap().status, 401);
    assert!(
        client::send(service.address, &get(&path, &here, "")).is_none(),
        "a proxy without a header was served"
    );
    let local = [&b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"[..], &get(&path, &here, "")].concat();
    assert_eq!(client::send(service.address, &local).unwrap().status, 200, "the proxy's own check");

    // Connections count for the client, not for the proxy.
    let hold = || {
        let mut stream = TcpStream::connect(service.address).unwrap();
        stream.write_all(&proxy_header(one)).unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        (stream, String::from_utf8_lossy(&head).into_owned())
    };
    let held = [hold(), hold()];
    assert!(held.iter().all(|(_, head)| head == "HTTP/1.1 200"), "{held:?}");
    assert_eq!(named(one, &get(&path, &there, "")).unwrap().code(), (429, "rate_limited"));
    assert_eq!(named(other, &get(&path, &there, "")).unwrap().status, 200);
}
