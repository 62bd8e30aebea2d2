//! Hostile workload: attackers at ten times the honest rate, one honest signer, one operator who takes away.
//!
//! All loops are paced, so that the figures depend on the service and not on the speed of this program. Attackers come
//! from addresses all over 127/8. One of them has an account and makes keys until its quota. Not for: what must hold
//! (`main`, and a short form in `tests/service/operations/hostile.rs`).
#![allow(dead_code)] // the short form asks for no times

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Requests of the honest signer per second; those of all attackers together are ten times as many.
pub(crate) const HONEST_RATE: u32 = 20;
const ATTACKERS: u32 = 8;
/// Connections that ask for lists and read nothing.
const SLOW_READERS: usize = 40;

/// Owner of the key that signs, of the keys that are disabled, and an attacker with an account.
pub(crate) const SIGNER: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
pub(crate) const ATTACKER: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";

/// The service under attack, and what the honest and the one attacker hold.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    /// The socket for commands.
    pub(crate) socket: PathBuf,
    /// Of the signer: `keys:create`, `keys:rotate`, `sign:point`.
    pub(crate) token: String,
    /// Of the attacker: `keys:create`, `keys:read`.
    pub(crate) account: String,
}

/// What happened.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Times of the honest signatures that succeeded.
    pub(crate) signed: Vec<Duration>,
    /// Status and code of those that did not.
    pub(crate) not_signed: Vec<String>,
    /// Times of the disables, and status and code of those that failed.
    pub(crate) disabled: Vec<Duration>,
    pub(crate) not_disabled: Vec<String>,
    /// Access tokens that were revoked, and failures.
    pub(crate) revoked: usize,
    pub(crate) not_revoked: Vec<String>,
    /// Requests of attackers, and keys that one of them made.
    pub(crate) hostile: u64,
    pub(crate) attacker_keys: u64,
}

/// Makes the keys that the workload uses.
pub(crate) fn prepare(target: &Target) {
    for name in ["signs", "switched"] {
        let body = json!({"eoa": SIGNER, "name": name});
        let answer = Client::new(target.address, 1).post("/v1/keys", &target.token, &body);
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
    }
}

/// Runs everything for this long.
pub(crate) fn run(target: &Target, time: Duration) -> Figures {
    let end = Instant::now() + time;
    let (hostile, made) = (AtomicU64::new(0), AtomicU64::new(0));
    let mut figures = Figures::default();
    thread::scope(|scope| {
        let signer = scope.spawn(move || sign(target, end));
        let operator = scope.spawn(move || operate(target, end));
        let (hostile, made) = (&hostile, &made);
        for number in 0..ATTACKERS {
            scope.spawn(move || attack(target, end, number, (hostile, made)));
        }
        scope.spawn(move || read_slowly(target, end));
        (figures.signed, figures.not_signed) = signer.join().unwrap();
        let operator = operator.join().unwrap();
        (figures.disabled, figures.not_disabled) = (operator.disabled, operator.not_disabled);
        (figures.revoked, figures.not_revoked) = (operator.revoked, operator.not_revoked);
    });
    (figures.hostile, figures.attacker_keys) = (hostile.into_inner(), made.into_inner());
    figures
}

/// The share of the sorted times, for example 99.
pub(crate) fn percentile(times: &mut [Duration], share: usize) -> Duration {
    times.sort_unstable();
    times
        .get((times.len() * share / 100).min(times.len().saturating_sub(1)))
        .copied()
        .unwrap_or(Duration::MAX)
}

fn sign(target: &Target, end: Instant) -> (Vec<Duration>, Vec<String>) {
    let one = "0".repeat(63) + "1";
    let two = "0".repeat(63) + "2";
    let body = json!({"eoa": SIGNER, "name": "signs", "hash": format!("{one}{two}")});
    let (mut signed, mut failed) = (Vec::new(), Vec::new());
    let mut client = Client::new(target.address, 1);
    paced(end, HONEST_RATE, |_| {
        let begun = Instant::now();
        let answer = client.post("/v1/scalar_mul", &target.token, &body);
        match answer.status {
            200 => signed.push(begun.elapsed()),
            _ => failed.push(answer.said()),
        }
    });
    (signed, failed)
}

/// Disables and enables a key, and issues and revokes access tokens on the host.
fn operate(target: &Target, end: Instant) -> Figures {
    let mut figures = Figures::default();
    let key = json!({"eoa": SIGNER, "name": "switched"});
    let mut client = Client::new(target.address, 1);
    paced(end, 4, |_| {
        let begun = Instant::now();
        let answer = client.post("/v1/keys/disable", &target.token, &key);
        match answer.status {
            200 => figures.disabled.push(begun.elapsed()),
            _ => figures.not_disabled.push(answer.said()),
        }
        client.post("/v1/keys/enable", &target.token, &key);
        let issue = json!({"eoa": SIGNER, "scopes": ["keys:read"], "ttl_seconds": 60});
        let issued = local(&target.socket, "/local/access-tokens", &issue);
        let id = issued.body["id"].as_str().unwrap_or_default().to_owned();
        match local(&target.socket, "/local/access-tokens/revoke", &json!({ "id": id })) {
            answer if answer.status == 200 => figures.revoked += 1,
            answer => figures.not_revoked.push(answer.said()),
        }
    });
    figures
}

/// One attacker: the kinds of attack in turn, each from another address.
fn attack(target: &Target, end: Instant, number: u32, (hostile, made): (&AtomicU64, &AtomicU64)) {
    let mut random = Random(u64::from(number) + 1);
    let rate = HONEST_RATE * 10 / ATTACKERS;
    paced(end, rate, |turn| {
        hostile.fetch_add(1, Ordering::Relaxed);
        let mut client = Client::new(target.address, random.next());
        let address = format!("0x{:040x}", random.next());
        match (turn + u64::from(number)) % 6 {
            0 => {
                let asked = client.post("/v1/auth/challenge", "", &json!({"eoa": address}));
                let signature = format!("0x{}", "1b".repeat(65));
                let id = asked.body["challenge_id"].as_str().unwrap_or("x").to_owned();
                client.post("/v1/auth/verify", "", &json!({"challenge_id": id, "signature": signature}));
            }
            1 => {
                let forged = format!("kms_{:064x}", random.next());
                client.post("/v1/scalar_mul", &forged, &json!({"eoa": SIGNER, "hash": "00".repeat(64)}));
                client.post("/v1/keys/disable", &forged, &json!({"eoa": SIGNER, "name": "signs"}));
            }
            2 => {
                let paths = [
                    "/healthz",
                    "/readyz",
                    "/version",
                    "/openapi.json",
                    "/docs",
                    "/v1/audit/checkpoint",
                    "/v1/audit/proof?seq=1",
                    "/v1/auth/typed-data?eoa=1",
                    "/nowhere",
                ];
                let path = usize::try_from(random.next()).unwrap_or_default() % paths.len();
                client.send(format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", paths[path]).as_bytes());
            }
            3 => {
                let garbage = "\u{7f}\0 /".repeat(200);
                client.send(format!("GET /{} {garbage}\r\n\r\n", "x".repeat(8_000)).as_bytes());
            }
            4 => {
                let operator = format!(
                    "EIP712 operator={address}, nonce=0x{:064x}, signature=0x{}",
                    random.next(),
                    "1b".repeat(65)
                );
                client.send_with(&operator, "/v1/keys/rotate", &json!({"eoa": SIGNER, "name": "signs"}));
            }
            _ => {
                let name = format!("key-{:x}", random.next());
                let body = json!({"eoa": ATTACKER, "name": name});
                let answer = client.post("/v1/keys", &target.account, &body);
                made.fetch_add(u64::from(answer.status == 201), Ordering::Relaxed);
            }
        }
    });
}

/// Asks for lists again and again, and reads none of them.
fn read_slowly(target: &Target, end: Instant) {
    let list = format!(
        "GET /v1/keys/{ATTACKER} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
        target.account
    );
    let mut connections: Vec<Option<TcpStream>> = (0..SLOW_READERS).map(|_| None).collect();
    let mut random = Random(99);
    paced(end, 20, |turn| {
        let count = connections.len() as u64;
        let slot = &mut connections[usize::try_from(turn % count).unwrap_or_default()];
        if slot.is_none() {
            *slot = connect(target.address, random.next());
        }
        let wrote = slot.as_mut().map(|stream| stream.write_all(list.repeat(20).as_bytes()).is_ok());
        if wrote != Some(true) {
            *slot = None;
        }
    });
}

/// Calls at this rate until the end; what falls behind is left out.
fn paced(end: Instant, per_second: u32, mut call: impl FnMut(u64)) {
    let step = Duration::from_secs(1) / per_second;
    let mut next = Instant::now();
    for turn in 0.. {
        let now = Instant::now();
        if now >= end {
            return;
        }
        thread::sleep(next.saturating_duration_since(now));
        call(turn);
        next = (next + step).max(Instant::now() - step);
    }
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    fn said(&self) -> String {
        format!("{} {}", self.status, self.body["code"].as_str().unwrap_or("no answer"))
    }
}

/// A client at one of the addresses of 127/8; it connects again when the service has ended the connection.
struct Client {
    to: SocketAddr,
    from: u64,
    stream: Option<TcpStream>,
}

impl Client {
    const fn new(to: SocketAddr, from: u64) -> Self {
        Self { to, from, stream: None }
    }

    fn post(&mut self, path: &str, token: &str, body: &Value) -> Answer {
        self.send_with(&format!("Bearer {token}"), path, body)
    }

    fn send_with(&mut self, credentials: &str, path: &str, body: &Value) -> Answer {
        self.send(post(credentials, path, body).as_bytes())
    }

    fn send(&mut self, bytes: &[u8]) -> Answer {
        // A connection that was kept may have ended meanwhile.
        for _ in 0..2 {
            let kept = self.stream.is_some();
            let Some(stream) = self.stream.take().or_else(|| connect(self.to, self.from)) else { break };
            let mut stream = stream;
            if let Some((answer, closes)) = exchange(&mut stream, bytes) {
                self.stream = (!closes).then_some(stream);
                return answer;
            }
            if !kept {
                break;
            }
        }
        Answer::default()
    }
}

/// One request on the socket for commands.
fn local(socket: &Path, path: &str, body: &Value) -> Answer {
    let Ok(mut stream) = UnixStream::connect(socket) else { return Answer::default() };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
    exchange(&mut stream, post("", path, body).as_bytes()).map(|(answer, _)| answer).unwrap_or_default()
}

fn post(credentials: &str, path: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {credentials}\r\nContent-Type: \
         application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn connect(to: SocketAddr, from: u64) -> Option<TcpStream> {
    let [.., a, b, c] = from.to_be_bytes();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().ok()?;
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(SocketAddrV4::new(Ipv4Addr::new(127, a, b, c.max(1)), 0).into())?;
        socket.connect(to).await?.into_std()
    });
    let stream = stream.ok()?;
    stream.set_nonblocking(false).ok()?;
    stream.set_nodelay(true).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    stream.set_write_timeout(Some(Duration::from_millis(50))).ok()?;
    Some(stream)
}

/// Sends a request and reads its answer, and whether the service ends the connection.
fn exchange(stream: &mut (impl Read + Write), bytes: &[u8]) -> Option<(Answer, bool)> {
    stream.write_all(bytes).ok()?;
    let mut raw = Vec::new();
    let mut piece = [0; 16 << 10];
    loop {
        let read = stream.read(&mut piece).ok()?;
        if read == 0 {
            return None;
        }
        raw.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&raw);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let lower = head.to_ascii_lowercase();
        let length =
            lower.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.trim().parse().ok());
        if body.len() < length.unwrap_or(0) {
            continue;
        }
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let body = serde_json::from_str(body).unwrap_or_default();
        return Some((Answer { status, body }, lower.contains("connection: close")));
    }
}
