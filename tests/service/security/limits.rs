//! Limits of what one client can take from the others: connections, time, requests.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use avs_kms::eigenlayer;
use serde_json::{Value, json};

use crate::support::client::{self, request};
use crate::support::wallet::Wallet;
use crate::support::{EOA, Installation, OTHER_EOA, Running, point};

#[test]
fn a_kept_alive_connection_ends_when_it_idles() {
    let installation = Installation::new();
    let service = installation.serve_with(|command| {
        command.env("AVS_KMS__SERVER__HEADER_TIMEOUT", "2s");
    });
    let mut stream = TcpStream::connect(service.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
        let mut answer = [0; 4096];
        let read = stream.read(&mut answer).unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0, "the connection is still open");
}

#[test]
fn a_client_that_reads_nothing_does_not_hold_its_connection() {
    let installation = Installation::new();
    let service = installation.serve_with(|command| {
        command.env("AVS_KMS__SERVER__WRITE_TIMEOUT", "500ms");
    });
    let mut stream = TcpStream::connect(service.address).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
    // Pipelined, until the answers fill every buffer on the way.
    let requests = b"GET /version HTTP/1.1\r\nHost: t\r\n\r\n".repeat(1_000);
    let begun = Instant::now();
    let ended = loop {
        match stream.write_all(&requests) {
            Ok(()) => {}
            Err(error) => break error.kind(),
        }
    };
    assert!(
        matches!(ended, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        "{ended:?} after {:?}",
        begun.elapsed()
    );
}

#[test]
fn an_address_has_a_limited_number_of_connections_and_gets_429_beyond() {
    let installation = Installation::new();
    let service = installation.serve_with(|command| {
        command.env("AVS_KMS__LIMITS__CONNECTIONS_PER_ADDRESS", "3");
    });
    let held: Vec<_> = (0..3).map(|_| TcpStream::connect(service.address).unwrap()).collect();
    thread::sleep(Duration::from_millis(200));
    let mut stream = TcpStream::connect(service.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw).unwrap();
    let raw = String::from_utf8(raw).unwrap();
    assert!(raw.starts_with("HTTP/1.1 429 ") && raw.contains(r#""code":"rate_limited""#), "{raw}");
    assert!(raw.contains("retry_after_ms") && raw.contains("x-request-id: req_"), "{raw}");
    drop(held);
    // Their ends are noticed one by one.
    let end = Instant::now() + Duration::from_secs(20);
    while service.get("/healthz", None).status != 200 {
        assert!(Instant::now() < end, "the places of those who left are not given again");
    }
}

#[test]
fn at_the_connection_limit_new_clients_wait_and_health_still_answers() {
    let installation = Installation::new();
    let service = installation.serve_with(|command| {
        command.env("AVS_KMS__SERVER__MAX_CONNECTIONS", "4").env("AVS_KMS__SERVER__HEADER_TIMEOUT", "60s");
    });
    let held: Vec<_> = (0..4).map(|_| TcpStream::connect(service.address).unwrap()).collect();
    thread::sleep(Duration::from_millis(200));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| (service.get("/healthz", None).status, Instant::now()));
        thread::sleep(Duration::from_millis(300));
        for path in ["/healthz", "/readyz", "/version"] {
            let answer = client::send(service.health.unwrap(), &request("GET", path, None, None)).unwrap();
            assert_eq!(answer.status, 200, "{path} {answer:?}");
        }
        let on_health = request("POST", "/v1/keys", None, Some("{}"));
        assert_eq!(client::send(service.health.unwrap(), &on_health).unwrap().code(), (404, "not_found"));
        assert!(!waiting.is_finished(), "a fifth connection was taken");
        let freed = Instant::now();
        drop(held);
        let (status, answered) = waiting.join().unwrap();
        assert!(status == 200 && answered >= freed);
    });
}

fn refused(service: &Running, header: &str) -> client::Answer {
    let bytes = format!(
        "GET /v1/keys/{EOA} HTTP/1.1\r\nHost: t\r\nConnection: close\r\nAuthorization: {header}\r\n\r\n"
    );
    service.send(bytes.as_bytes())
}

#[test]
fn guessing_is_slowed_down_and_does_not_lock_out_who_knows() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve_with(|command| {
        command.env("AVS_KMS__LIMITS__AUTH_FAILURES_PER_ADDRESS", "5/min");
    });
    let guess = |n: u32| format!("Bearer kms_{n:064x}");
    for n in 0..5 {
        assert_eq!(refused(&service, &guess(n)).code(), (401, "unauthenticated"));
    }
    let answer = refused(&service, &guess(6));
    assert_eq!(answer.code(), (429, "rate_limited"));
    let wait = answer.body["retry_after_ms"].as_u64().unwrap();
    assert!((1..=12_000).contains(&wait), "{wait}");
    assert!(answer.head.to_lowercase().contains("retry-after: "), "{}", answer.head);
    assert_eq!(service.get(&format!("/v1/keys/{EOA}"), Some(&token)).status, 200);
    service.stop();
    // Each refusal is on record, the slowed-down one too.
    assert_eq!(
        installation.records_of("keys.list").iter().filter(|it| it["code"] == "unauthenticated").count(),
        6
    );
}

#[test]
fn a_request_without_credentials_guesses_nothing_and_failures_lock_out_the_eoa_that_they_name() {
    let installation = Installation::new();
    let service = installation.serve_with(|command| {
        command.env("AVS_KMS__LIMITS__AUTH_FAILURES_PER_ADDRESS", "3/min");
    });
    for _ in 0..20 {
        assert_eq!(service.get(&format!("/v1/keys/{EOA}"), None).code(), (401, "unauthenticated"));
    }
    let challenge = |eoa: &str| {
        let answer = service.post("/v1/auth/challenge", None, &json!({"eoa": eoa}));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    };
    let wrong = Wallet::of(OTHER_EOA);
    for _ in 0..5 {
        let offered = challenge(EOA);
        answer_challenge(&service, &offered, &wrong.typed(&offered["typed_data"]));
    }
    let offered = challenge(EOA);
    let right = Wallet::of(EOA).typed(&offered["typed_data"]);
    assert_eq!(answer_challenge(&service, &offered, &right).code(), (429, "rate_limited"));
    // Another operator behind the same address is not locked out.
    let offered = challenge(OTHER_EOA);
    let answer = answer_challenge(&service, &offered, &wrong.typed(&offered["typed_data"]));
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn answer_challenge(service: &Running, challenge: &Value, signature: &str) -> client::Answer {
    let body = json!({"challenge_id": challenge["challenge_id"], "signature": signature});
    service.post("/v1/auth/verify", None, &body)
}

#[test]
fn of_an_address_with_too_many_failures_no_signature_is_checked() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve_with(|command| {
        command.env("AVS_KMS__LIMITS__AUTH_FAILURES_PER_ADDRESS", "3/min");
    });
    let wallet = Wallet::of(EOA);
    let offered = service.post("/v1/auth/challenge", None, &json!({"eoa": EOA})).body;
    let right = wallet.typed(&offered["typed_data"]);
    let wrong = Wallet::of(OTHER_EOA).typed(&offered["typed_data"]);
    let path = format!("/v1/keys/{EOA}");
    let header = crate::auth::request_signatures::authorization(&service, &wallet, EOA, "GET", &path, "");
    for _ in 0..3 {
        assert_eq!(answer_challenge(&service, &offered, &wrong).code(), (401, "signature_mismatch"));
    }
    let limited = (429, "rate_limited");
    assert_eq!(answer_challenge(&service, &offered, &wrong).code(), limited);
    for _ in 0..3 {
        assert_eq!(answer_challenge(&service, &offered, &wrong).code(), limited);
    }
    assert_eq!(answer_challenge(&service, &offered, &right).code(), limited);
    assert_eq!(refused(&service, &header).code(), limited);
    assert_eq!(service.get(&path, Some(&token)).status, 200, "a good token is locked out");
    assert_eq!(service.post("/v1/auth/revoke", Some(&token), &json!({})).status, 200);
    service.stop();
    assert_eq!(installation.records_of("auth.verify").len(), 4, "what was refused at the door was checked");
    assert!(installation.records_of("auth.request").is_empty());
}

#[test]
fn an_address_has_a_limited_number_of_signature_checks_per_second() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve_with(|command| {
        command.env("AVS_KMS__LIMITS__SIGNATURE_CHECKS_PER_ADDRESS", "3/s");
    });
    // However slow this machine is, it sends more than three in a second at some time.
    let (mut looked_at, limited) = (0, (429, "rate_limited"));
    let offered = json!({"challenge_id": "nonsense"});
    for _ in 0..1_000 {
        let answer = answer_challenge(&service, &offered, "0x00");
        if answer.code() == limited {
            break;
        }
        assert_eq!(answer.code(), (401, "challenge_unknown"));
        looked_at += 1;
    }
    assert!((3..1_000).contains(&looked_at), "{looked_at}");
    assert!((0..1_000).any(|_| refused(&service, "EIP712 nonsense").code() == limited));
    assert!((0..10).all(|_| service.get(&format!("/v1/keys/{EOA}"), Some(&token)).status == 200));
    service.stop();
    assert_eq!(installation.records_of("auth.verify").len(), looked_at, "what was limited was looked at");
}

#[test]
fn a_token_and_an_address_have_a_rate_each() {
    let installation = Installation::new();
    let (token, other) = (installation.token(EOA), installation.token(EOA));
    let service = installation.serve_with(|command| {
        command
            .env("AVS_KMS__LIMITS__REQUESTS_PER_ACCESS_TOKEN", "5/s")
            .env("AVS_KMS__LIMITS__REQUESTS_PER_ADDRESS", "40/s");
    });
    let path = format!("/v1/keys/{EOA}");
    let begun = Instant::now();
    let mut limited = 0;
    for _ in 0..20 {
        let asked = Instant::now();
        let answer = service.get(&path, Some(&token));
        if answer.code() == (429, "rate_limited") {
            limited += 1;
            let away = Duration::from_millis(answer.body["retry_after_ms"].as_u64().unwrap());
            assert!(asked.elapsed() >= away / 2, "a client that retries at once is not slowed down");
        }
    }
    let replenished = usize::try_from(begun.elapsed().as_millis() * 5 / 1_000).unwrap() + 1;
    let spent = begun.elapsed();
    assert!((1..=15).contains(&limited) && limited + replenished >= 15, "{limited} of 20 after {spent:?}");
    assert_eq!(service.get(&path, Some(&other)).status, 200, "one token's rate is not another's");
    // However slow this machine is, it sends more than 40 in a second.
    let limited = (0..10_000).any(|_| service.get("/version", None).code() == (429, "rate_limited"));
    assert!(limited, "an address has no rate");
    let health = request("GET", "/healthz", None, None);
    assert!((0..50).all(|_| client::send(service.health.unwrap(), &health).unwrap().status == 200));
    // The machine's own operator is no client.
    assert!((0..10).all(|_| installation.run(&["access-token", "list"]).status.success()));
}

/// What 16 clients get who sign 20 times each, as fast as they are answered.
fn signatures_of_many_clients(service: &Running, token: &str) -> Vec<client::Answer> {
    let body = json!({"eoa": EOA, "hash": point(&eigenlayer::hash_to_g1(&[6; 32]))});
    thread::scope(|scope| {
        let sign = || client::post(service.address, "/v1/scalar_mul", token, &body).unwrap();
        let clients: Vec<_> =
            (0..16).map(|_| scope.spawn(move || (0..20).map(|_| sign()).collect::<Vec<_>>())).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    })
}

#[test]
fn more_clients_than_the_service_serves_at_a_time_wait_and_none_is_refused() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve_with(|command| {
        command
            .env("AVS_KMS__LIMITS__MAX_CONCURRENT_REQUESTS", "1")
            // The test asks whether they wait, not how fast this machine is.
            .env("AVS_KMS__LIMITS__QUEUE_TIMEOUT", "60s")
            .env("AVS_KMS__SERVER__REQUEST_DEADLINE", "60s");
    });
    service.create(&token, EOA, "default");
    let answers = signatures_of_many_clients(&service, &token);
    assert!(answers.iter().all(|answer| answer.status == 200));
    service.stop();
}

#[test]
fn a_full_queue_is_overloaded_and_says_when_to_come_back() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve_with(|command| {
        command
            .env("AVS_KMS__LIMITS__MAX_CONCURRENT_REQUESTS", "1")
            .env("AVS_KMS__LIMITS__MAX_QUEUED_REQUESTS", "2")
            .env("AVS_KMS__LIMITS__QUEUE_TIMEOUT", "2s");
    });
    service.create(&token, EOA, "default");
    let answers = signatures_of_many_clients(&service, &token);
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
    assert!(!refused.is_empty() && refused.len() < answers.len());
    for answer in refused {
        assert_eq!(answer.code(), (503, "overloaded"));
        assert_eq!(answer.body["retry_after_ms"], 1_000);
        assert!(answer.head.to_lowercase().contains("retry-after: 1\r\n"), "{}", answer.head);
    }
    service.stop();
}

#[test]
fn too_much_work_at_a_time_is_refused_early_and_the_rest_is_done() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve_with(|command| {
        command
            .env("AVS_KMS__LIMITS__MAX_CONCURRENT_REQUESTS", "1")
            .env("AVS_KMS__LIMITS__QUEUE_TIMEOUT", "1ms");
    });
    service.create(&token, EOA, "default");
    let answers = signatures_of_many_clients(&service, &token);
    let signed = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| answer.code() == (503, "overloaded")).count();
    assert_eq!(signed + refused, answers.len());
    assert!(signed > 0 && refused > 0, "{signed} signed, {refused} refused");
    service.stop();
    let intents = installation.records_of("scalar_mul");
    assert_eq!(
        intents.iter().filter(|it| it["kind"] == "intent").count(),
        signed,
        "a refusal left an intent"
    );
}

#[test]
fn few_search_the_audit_log_at_a_time() {
    let installation = Installation::new();
    let token = installation.token_with(EOA, &["keys:read", "audit:read"], "1h");
    let service = installation.serve_with(|command| {
        command.env("AVS_KMS__LIMITS__QUEUE_TIMEOUT", "1ms");
    });
    for _ in 0..300 {
        service.get(&format!("/v1/keys/{EOA}"), Some(&token));
    }
    let answers: Vec<_> = thread::scope(|scope| {
        let read = || service.get("/v1/audit?limit=1000", Some(&token));
        let readers: Vec<_> =
            (0..32).map(|_| scope.spawn(move || (0..10).map(|_| read()).collect::<Vec<_>>())).collect();
        readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect()
    });
    let read = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| answer.code() == (503, "overloaded")).count();
    assert_eq!(read + refused, answers.len());
    assert!(read > 0 && refused > 0, "{read} read, {refused} refused");
}

#[test]
fn what_is_not_http_is_answered_with_json_all_the_same() {
    let installation = Installation::new();
    let service = installation.serve();
    let long = format!("GET /{} HTTP/1.1\r\nHost: t\r\n\r\n", "a".repeat(20_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X-A: b\r\n".repeat(80));
    for (wrong, status) in [
        ("nonsense\r\n\r\n", 400),
        ("GET / HTTP/9.9\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nbad header\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nX: a\rb\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: x\r\nContent-Length: 1\r\n\r\n", 400),
        ("POST /v1/keys HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        ("GET /\u{1} HTTP/1.1\r\n\r\n", 400),
        (&long, 431),
        (&many, 431),
    ] {
        let answer = service.send(wrong.as_bytes());
        assert_eq!(answer.code(), (status, "invalid_request"), "{wrong:.60}");
    }
}
