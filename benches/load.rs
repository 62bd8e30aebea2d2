//! `make load`: throughput and latency of the service at one, two, four and ten times its saturation load.
//!
//! Closed loops over loopback, bounded in time. Saturation is the smallest number of clients that reaches 95 % of the
//! best rate, or the number in `cargo bench --bench load -- CLIENTS`. Requests queue, so the rate should stay level
//! beyond saturation, p99 should grow with the number of clients, and `refused/s` should be 0 up to the length of the
//! queue (`limits.max_queued_requests`). A refused client waits for `retry_after_ms`, except in the last step, whose
//! clients repeat at once. Half of the cores run the service and half the clients, so that a client's wait for its
//! own core is not counted as the service's latency.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement that goes wrong should say so and stop"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const EOA: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const SECONDS: u64 = 3;
/// All clients begin at once: the first half second is not measured.
const SETTLING: Duration = Duration::from_millis(500);
const ROUNDS: u32 = 7;
const BODY: &str = r#"{"eoa":"0x70997970C51812dc3A010C7d01b50e0d17dc79C8","hash":"00000000000000000000000000000000000000000000000000000000000000010000000000000000000000000000000000000000000000000000000000000002"}"#;

/// Half of the cores for the service, as `taskset` names them; this process keeps to the other half.
fn divide_the_cores() -> String {
    let all = rustix::thread::sched_getaffinity(None).unwrap();
    let all: Vec<_> = (0..1024).filter(|core| all.is_set(*core)).collect();
    let (service, generator) = all.split_at(all.len() / 2);
    assert!(!service.is_empty(), "one core for the service and one for its clients");
    let mut ours = rustix::thread::CpuSet::new();
    generator.iter().for_each(|core| ours.set(*core));
    rustix::thread::sched_setaffinity(None, &ours).unwrap();
    service.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

fn main() {
    // `cargo test --benches` runs bench programs with `--test`; this one is for `cargo bench` alone.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let cores = divide_the_cores();
    let directory = tempfile::tempdir_in(".").unwrap();
    let data = directory.path().join("var");
    assert!(program(&data, &cores).arg("init").output().unwrap().status.success());
    let mut issue = program(&data, &cores);
    issue.args(["access-token", "issue", "--eoa", EOA, "--scope", "keys:create", "--scope", "sign:point"]);
    let token = String::from_utf8(issue.output().unwrap().stdout).unwrap();
    let token = token.trim();
    let (mut service, address) = start(&data, &cores);
    let created = Client::open(address).post("/v1/keys", token, &format!(r#"{{"eoa":"{EOA}"}}"#)).unwrap();
    assert_eq!(created.status, 201);

    let load = |clients| run(address, token, clients, Retry::AfterDelay, SECONDS);
    run(address, token, 8, Retry::AfterDelay, 1);
    println!("clients  signed/s  refused/s  p50 ms  p99 ms  resident MiB");
    let mut steps = Vec::new();
    for clients in [1, 2, 4, 8, 16, 32] {
        steps.push((clients, show(load(clients), clients, service.id())));
    }
    let best = steps.iter().map(|(_, it)| it.rate).fold(0.0, f64::max);
    let (measured, _) = steps.iter().find(|(_, it)| it.rate >= 0.95 * best).unwrap();
    let saturation = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(*measured);
    println!("saturation: {saturation} clients");
    // Each round is compared with itself and the median of all rounds counts, so that other work on this machine
    // weighs on all loads alike.
    let waits = |times| (format!("{times}x"), saturation * times, Retry::AfterDelay);
    let at_once = ("10x that repeat at once".to_owned(), saturation * 10, Retry::AtOnce);
    let loads =
        [("one client".to_owned(), 1, Retry::AfterDelay), waits(1), waits(2), waits(4), waits(10), at_once];
    let rounds: Vec<Vec<_>> = (0..ROUNDS)
        .map(|_| {
            let one = |(_, clients, retry): &(String, usize, Retry)| {
                show(run(address, token, *clients, *retry, SECONDS), *clients, service.id())
            };
            loads.iter().map(one).collect()
        })
        .collect();
    let median = |of: &dyn Fn(&[Measured]) -> f64| {
        let mut values: Vec<_> = rounds.iter().map(|round| of(round)).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    for (at, (name, ..)) in loads.iter().enumerate() {
        let best = |round: &[Measured]| round.iter().map(|it| it.rate).fold(0.0, f64::max);
        println!(
            "{name:>20}: {:.0} signatures/s, {:.0} % of the best; p99 {:.2} ms, {:.1} times that of one client",
            median(&|round| round[at].rate),
            median(&|round| 100.0 * round[at].rate / best(round)),
            median(&|round| round[at].p99),
            median(&|round| round[at].p99 / round[0].p99)
        );
    }
    let pid = rustix::process::Pid::from_child(&service);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(service.wait().unwrap().success());
    assert!(program(&data, &cores).args(["audit", "verify"]).output().unwrap().status.success());
}

fn program(data: &Path, cores: &str) -> Command {
    let mut command = Command::new("taskset");
    // All clients have one address and one access token.
    command
        .args(["--cpu-list", cores, env!("CARGO_BIN_EXE_avs-kms")])
        .arg("--data")
        .arg(data)
        .env_remove("SOFTHSM2_CONF")
        .env("AVS_KMS__LOG__LEVEL", "info")
        .env("AVS_KMS__SERVER__HEALTH_LISTEN", "")
        .env("AVS_KMS__LIMITS__CONNECTIONS_PER_ADDRESS", "0")
        .env("AVS_KMS__LIMITS__KEYS_PER_EOA", "1000000")
        .env("AVS_KMS__LIMITS__REQUESTS_PER_ADDRESS", "0")
        .env("AVS_KMS__LIMITS__REQUESTS_PER_ACCESS_TOKEN", "0");
    command
}

fn start(data: &Path, cores: &str) -> (Child, SocketAddr) {
    let mut child = program(data, cores)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let address =
        lines.find_map(|line| Some(line.split("listening on http://").nth(1)?.trim().parse().unwrap()));
    thread::spawn(move || lines.for_each(drop));
    (child, address.expect("the service did not start"))
}

struct Measured {
    rate: f64,
    refused: f64,
    p50: f64,
    p99: f64,
}

fn show(it: Measured, clients: usize, pid: u32) -> Measured {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let resident: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    let Measured { rate, refused, p50, p99 } = it;
    println!(
        "{clients:>7}  {rate:>8.0}  {refused:>9.0}  {p50:>6.2}  {p99:>6.2}  {:>12.1}",
        resident / 1024.0
    );
    it
}

/// What a refused client does.
#[derive(Clone, Copy, PartialEq)]
enum Retry {
    AfterDelay,
    AtOnce,
}

/// Runs `clients` closed loops for `seconds`.
fn run(address: SocketAddr, token: &str, clients: usize, retry: Retry, seconds: u64) -> Measured {
    let begin = Instant::now() + SETTLING;
    let end = begin + Duration::from_secs(seconds);
    let one = move || {
        let mut client = None;
        let (mut times, mut refused) = (Vec::new(), 0_u64);
        while Instant::now() < end {
            let connection = client.get_or_insert_with(|| Client::open(address));
            let asked = Instant::now();
            // The service may ask for a new connection when others wait.
            let Some(answer) = connection.post("/v1/scalar_mul", token, BODY) else {
                client = None;
                continue;
            };
            match answer.status {
                // A request that is under way at the end is not counted.
                200 if asked >= begin && Instant::now() < end => times.push(asked.elapsed()),
                200 => {}
                503 => {
                    refused += u64::from(asked >= begin);
                    let away = Duration::from_millis(answer.retry_after_ms.unwrap());
                    if retry == Retry::AfterDelay {
                        thread::sleep(away.min(end.saturating_duration_since(Instant::now())));
                    }
                }
                status => panic!("status {status}"),
            }
            if answer.closes {
                client = None;
            }
        }
        (times, refused)
    };
    let results: Vec<_> = thread::scope(|scope| {
        let handles: Vec<_> = (0..clients)
            .map(|_| thread::Builder::new().stack_size(128 << 10).spawn_scoped(scope, one).unwrap())
            .collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    });
    let refused: u64 = results.iter().map(|(_, refused)| refused).sum();
    let mut times: Vec<_> = results.into_iter().flat_map(|(times, _)| times).collect();
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)].as_secs_f64() * 1e3;
    Measured {
        rate: times.len() as f64 / seconds as f64,
        refused: refused as f64 / seconds as f64,
        p50: at(50),
        p99: at(99),
    }
}

struct Answer {
    status: u16,
    closes: bool,
    retry_after_ms: Option<u64>,
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    fn post(&mut self, path: &str, token: &str, body: &str) -> Option<Answer> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(request.as_bytes()).ok()?;
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let begin = head.len();
            if self.0.read_line(&mut head).ok()? == 0 {
                return None;
            }
            let line = &head[begin..];
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).ok()?;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let retry_after_ms = if status == 503 {
            serde_json::from_slice::<serde_json::Value>(&body).unwrap()["retry_after_ms"].as_u64()
        } else {
            None
        };
        Some(Answer { status, closes: head.contains("connection: close"), retry_after_ms })
    }
}
