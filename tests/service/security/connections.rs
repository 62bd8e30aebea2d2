//! Deadlines of connections on which no whole request arrives, and which one closes at the connection limit.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::security::tls::{ANY, Secured, connect, get};
use crate::support::{Installation, until};

const DEADLINE: Duration = Duration::from_secs(1);
const HEADER_TIMEOUT: (&str, &str) = ("AVS_KMS__SERVER__HEADER_TIMEOUT", "1s");
const NO_SHARE: (&str, &str) = ("AVS_KMS__LIMITS__CONNECTIONS_PER_ADDRESS", "0");

/// A connection that does not wait for bytes, and when it was begun and left alone.
struct Half<S> {
    stream: S,
    begun: Instant,
    left: Instant,
}

/// Looks at all of them again and again: none is open two seconds after the deadline, none has ended before it.
fn all_end_at_the_deadline<S: Read>(mut halves: Vec<Half<S>>) {
    while !halves.is_empty() {
        halves.retain_mut(|half| {
            // Taken before the look: however slow this process is, what is seen open was open then.
            let age = half.left.elapsed();
            let ended = match half.stream.read(&mut [0; 4096]) {
                Ok(read) => read == 0,
                Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
            };
            assert!(ended || age < DEADLINE + Duration::from_secs(2), "still open after {age:?}");
            assert!(!ended || half.begun.elapsed() >= DEADLINE, "ended before its time");
            !ended
        });
        thread::sleep(Duration::from_millis(5));
    }
}

fn halves_of(
    address: std::net::SocketAddr,
    count: usize,
    bytes: impl Fn(usize) -> &'static [u8],
) -> Vec<Half<TcpStream>> {
    let half = |n| {
        let begun = Instant::now();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(bytes(n)).unwrap();
        stream.set_nonblocking(true).unwrap();
        Half { stream, begun, left: Instant::now() }
    };
    (0..count).map(half).collect()
}

#[test]
fn of_five_hundred_half_sent_requests_none_is_left_two_seconds_after_the_header_deadline() {
    let installation = Installation::new();
    let service = installation.serve_with(|command| {
        command.envs([HEADER_TIMEOUT, NO_SHARE]);
    });
    all_end_at_the_deadline(halves_of(service.address, 500, |n| {
        if n % 2 == 0 { b"GET /healthz HTTP/1.1\r\nHost: t\r\nX-A:" } else { b"" }
    }));
    assert_eq!(service.get("/healthz", None).status, 200);
}

#[test]
fn a_handshake_that_never_begins_or_stops_halfway_ends_at_the_header_deadline() {
    let secured = Secured::new();
    let service = secured.serve_with(&[HEADER_TIMEOUT, NO_SHARE]);
    // Half of them send the head of a ClientHello that never comes.
    let bytes = |n| -> &[u8] { if n % 2 == 0 { b"" } else { &[22, 3, 1, 1, 0, 1, 0, 0, 252, 3, 3] } };
    all_end_at_the_deadline(halves_of(service.address, 100, bytes));
}

#[test]
fn half_sent_headers_of_http_2_end_at_the_header_deadline() {
    let secured = Secured::new();
    let service = secured.serve_with(&[HEADER_TIMEOUT, NO_SHARE]);
    let mut client = secured.client(None, ANY);
    client.alpn_protocols = vec![b"h2".to_vec()];
    let halves = (0..20).map(|n| {
        let begun = Instant::now();
        let mut stream = connect(&service, client.clone());
        // Preface and SETTINGS, then HEADERS that another frame was to end, or of which most is missing.
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
        let headers: &[u8] =
            if n % 2 == 0 { b"\0\0\x01\x01\0\0\0\0\x01\x82" } else { b"\0\0\x40\x01\x04\0\0\0\x01\x82" };
        stream.write_all(headers).unwrap();
        stream.sock.set_nonblocking(true).unwrap();
        Half { stream, begun, left: Instant::now() }
    });
    all_end_at_the_deadline(halves.collect());
}

#[test]
fn at_the_connection_limit_a_busy_http_2_client_moves_on_and_loses_nothing() {
    let secured = Secured::new();
    let service = secured.serve_with(&[HEADER_TIMEOUT, ("AVS_KMS__SERVER__MAX_CONNECTIONS", "1")]);
    let (served, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let busy = scope.spawn(|| {
            secured.over_http_2(&service, async |client, url| {
                while !served.load(Ordering::Relaxed) {
                    let answer = client.get(format!("{url}/version")).send().await.unwrap();
                    assert_eq!((answer.version(), answer.status().as_u16()), (reqwest::Version::HTTP_2, 200));
                    answered.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            });
        });
        until("the busy client has the place", || answered.load(Ordering::Relaxed) > 0 || busy.is_finished());
        let before = answered.load(Ordering::Relaxed);
        let newcomer = get(&mut connect(&service, secured.client(None, ANY)), "/version", None);
        served.store(true, Ordering::Relaxed);
        busy.join().unwrap();
        assert_eq!(newcomer.unwrap().0, 200);
        assert!(answered.load(Ordering::Relaxed) > before, "the other client was not busy");
    });
}
