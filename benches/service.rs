//! `make bench`: the whole service over loopback, beside what it cannot be faster than.
//!
//! Signatures per second and latency at 1, 16 and 64 connections with the audit log on; the same service with its
//! `fdatasync` replaced by nothing, and one bare `fdatasync` of the same disk, in the same run; start-up time and
//! resident memory with 1,000 keys. Bounded in time; loopback only.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement that goes wrong should say so and stop"
)]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const EOA: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const KEYS: usize = 1_000;
const SECONDS: u64 = 5;

/// Signatures per second, p50 and p99 in milliseconds: with the sync, and without.
type Turn = [(f64, f64, f64); 2];

fn main() {
    // `cargo test --benches` runs bench programs with `--test`; this one is for `cargo bench` alone.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let directory = tempfile::tempdir_in(".").unwrap();
    let data = directory.path().join("var");
    let made = program(&data).arg("init").output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut issue = program(&data);
    issue.args(["access-token", "issue", "--eoa", EOA, "--scope", "keys:create", "--scope", "sign:point"]);
    let token = String::from_utf8(issue.output().unwrap().stdout).unwrap();
    let token = token.trim();

    let (service, address, _) = start(&data);
    let begun = Instant::now();
    let mut connection = Connection::open(address);
    for n in 0..KEYS {
        connection.post("/v1/keys", token, &format!(r#"{{"eoa":"{EOA}","name":"k{n}"}}"#));
    }
    println!("{KEYS} keys made, {:.2} ms each", begun.elapsed().as_secs_f64() * 1e3 / KEYS as f64);
    drop(connection);
    stop(service);

    let (service, address, started) = start(&data);
    thread::sleep(Duration::from_secs(1));
    println!("start-up with {KEYS} keys: {} ms", started.as_millis());
    println!("resident, idle, {KEYS} keys: {:.1} MiB", resident(service.id()));

    let sync = bare_fdatasync(directory.path(), Duration::ZERO);
    println!("one bare fdatasync (256 B in place): p50 {:.3} ms, p99 {:.3} ms", sync.0, sync.1);
    println!("connections   signatures/s   p50 ms   p99 ms");
    for connections in [1, 16, 64] {
        let (rate, p50, p99) = load(address, token, connections);
        println!("{connections:>11}   {rate:>12.0}   {p50:>6.3}   {p99:>6.3}");
    }
    println!("resident after the load: {:.1} MiB", resident(service.id()));
    cost_of_the_sync(directory.path(), address, token, sync.0);
    stop(service);

    // Two services in one run: what the sandbox costs is smaller than what an hour changes.
    let services = ["softhsm", "off"].map(|sandbox| (sandbox, directory.path().join(sandbox)));
    let mut samples = services.each_ref().map(|(sandbox, data)| {
        assert!(program(data).arg("init").output().unwrap().status.success());
        let mut command = program(data);
        command.args([
            "access-token",
            "issue",
            "--eoa",
            EOA,
            "--scope",
            "keys:create",
            "--scope",
            "sign:point",
        ]);
        let token = String::from_utf8(command.output().unwrap().stdout).unwrap().trim().to_owned();
        let (service, address, _) = start_as(data, sandbox);
        let mut connection = Connection::open(address);
        connection.post("/v1/keys", &token, &format!(r#"{{"eoa":"{EOA}"}}"#));
        (service, connection, token, Vec::new())
    });
    for _ in 0..4_000 {
        for (_, connection, token, times) in &mut samples {
            let begun = Instant::now();
            let body = format!(r#"{{"eoa":"{EOA}","hash":"{:064x}{:064x}"}}"#, 1, 2);
            connection.post("/v1/scalar_mul", token, &body);
            times.push(begun.elapsed());
        }
    }
    for ((sandbox, _), (service, connection, _, times)) in services.iter().zip(samples) {
        let (p50, p99) = percentiles(times);
        println!("sandbox {sandbox:>8}: p50 {p50:.3} ms, p99 {p99:.3} ms");
        drop(connection);
        stop(service);
    }

    let begun = Instant::now();
    let verified = program(&data).args(["audit", "verify"]).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    println!(
        "audit verify: {} in {} ms",
        String::from_utf8_lossy(&verified.stdout).trim(),
        begun.elapsed().as_millis()
    );
}

/// What waiting for the disk costs the whole service: the same program over a copy of the same data, with a `fdatasync`
/// that does nothing put before the C library's. The two take turns, because the machine is never the same twice.
fn cost_of_the_sync(directory: &Path, address: SocketAddr, token: &str, bare: f64) {
    let (source, library) = (directory.join("nothing.c"), directory.join("nothing.so"));
    std::fs::write(&source, "int fdatasync(int fd) { (void)fd; return 0; }\n").unwrap();
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status();
    assert!(compiled.is_ok_and(|status| status.success()), "a C compiler is needed: see the Makefile");
    let data = directory.join("without");
    let made = program(&data).arg("init").output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut issue = program(&data);
    issue.args(["access-token", "issue", "--eoa", EOA, "--scope", "keys:create", "--scope", "sign:point"]);
    let other_token = String::from_utf8(issue.output().unwrap().stdout).unwrap();
    let other_token = other_token.trim();
    let (other, other_address, _) = start_with(&data, |command| {
        command.env("LD_PRELOAD", std::fs::canonicalize(&library).unwrap());
    });
    let mut connection = Connection::open(other_address);
    for n in 0..KEYS {
        connection.post("/v1/keys", other_token, &format!(r#"{{"eoa":"{EOA}","name":"k{n}"}}"#));
    }
    drop(connection);
    let with_and_without = |turn: usize, connections, seconds: f64| {
        let with = || load_for(address, token, connections, seconds);
        let without = || load_for(other_address, other_token, connections, seconds);
        // Who goes second finds the machine as the first has left it: so they change places.
        if turn.is_multiple_of(2) {
            [with(), without()]
        } else {
            let without = without();
            [with(), without]
        }
    };
    let median = |turns: &[Turn], of: &dyn Fn(&Turn) -> f64| {
        let mut values: Vec<_> = turns.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    // Each turn is compared with itself: the machine is another one after a minute.
    let turns: Vec<_> = (0..15).map(|turn| with_and_without(turn, 64, 2.0)).collect();
    let ratio = |[with, without]: &Turn| with.0 / without.0;
    let mut all: Vec<_> = turns.iter().map(ratio).collect();
    all.sort_by(f64::total_cmp);
    println!(
        "64 connections, in turns: {:.0} signatures/s, {:.0} without the sync: ratio {:.3} (aim 0.90 at least), quartiles {:.3} and {:.3}",
        median(&turns, &|turn| turn[0].0),
        median(&turns, &|turn| turn[1].0),
        all[all.len() / 2],
        all[all.len() / 4],
        all[all.len() * 3 / 4]
    );
    // A disk and a virtual processor that have idled answer later: so the bare ones keep the pace of the service.
    let (mut turns, mut paced) = (Vec::new(), Vec::new());
    for turn in 0..7 {
        let [with, without] = with_and_without(turn, 1, 1.0);
        turns.push([with, without]);
        paced.push(bare_fdatasync(directory, Duration::from_secs_f64(without.1 / 1e3)).0);
    }
    let (with, without) = (median(&turns, &|turn| turn[0].1), median(&turns, &|turn| turn[1].1));
    paced.sort_by(f64::total_cmp);
    let (added, paced) = (with - without, paced[paced.len() / 2]);
    println!(
        "1 connection, in turns: p50 {with:.3} ms, {without:.3} ms without the sync; one bare fdatasync at this pace {paced:.3} ms"
    );
    println!(
        "  added: {:.2} of one bare fdatasync at this pace (aim 1.5 at most), {:.2} of one of many in a row",
        added / paced,
        added / bare
    );
    stop(other);
}

fn program(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_avs-kms"));
    command
        .arg("--data")
        .arg(data)
        .env_remove("SOFTHSM2_CONF")
        .env("AVS_KMS__LOG__LEVEL", "info")
        // All load comes from one address.
        .env("AVS_KMS__SERVER__HEALTH_LISTEN", "")
        .env("AVS_KMS__LIMITS__KEYS_PER_EOA", "1000000")
        .env("AVS_KMS__LIMITS__REQUESTS_PER_ADDRESS", "0")
        .env("AVS_KMS__LIMITS__REQUESTS_PER_ACCESS_TOKEN", "0");
    command
}

fn start(data: &Path) -> (Child, SocketAddr, Duration) {
    start_with(data, |_| ())
}

fn start_as(data: &Path, sandbox: &str) -> (Child, SocketAddr, Duration) {
    start_with(data, |command| {
        command.env("AVS_KMS__SANDBOX__MODE", sandbox);
    })
}

fn start_with(data: &Path, change: impl FnOnce(&mut Command)) -> (Child, SocketAddr, Duration) {
    let begun = Instant::now();
    let mut command = program(data);
    change(&mut command);
    let mut child =
        command.args(["serve", "--listen", "127.0.0.1:0"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let address =
        lines.find_map(|line| Some(line.split("listening on http://").nth(1)?.trim().parse().unwrap()));
    let started = begun.elapsed();
    thread::spawn(move || lines.for_each(drop));
    (child, address.expect("the service did not start"), started)
}

fn stop(mut service: Child) {
    let pid = rustix::process::Pid::from_child(&service);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(service.wait().unwrap().success());
}

/// One kept-alive connection.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    fn post(&mut self, path: &str, token: &str, body: &str) {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let mut length = 0;
        let mut line = String::new();
        let mut first = String::new();
        loop {
            line.clear();
            self.0.read_line(&mut line).unwrap();
            if line == "\r\n" {
                break;
            }
            if first.is_empty() {
                first.clone_from(&line);
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut answer = vec![0; length];
        self.0.read_exact(&mut answer).unwrap();
        assert!(
            first.contains(" 200 ") || first.contains(" 201 "),
            "{first}{}",
            String::from_utf8_lossy(&answer)
        );
    }
}

/// Signatures per second, p50 and p99 in milliseconds.
fn load(address: SocketAddr, token: &str, connections: usize) -> (f64, f64, f64) {
    load_for(address, token, connections, SECONDS as f64)
}

fn load_for(address: SocketAddr, token: &str, connections: usize, seconds: f64) -> (f64, f64, f64) {
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let begun = Instant::now();
    let times: Vec<Duration> = thread::scope(|scope| {
        let clients: Vec<_> = (0..connections)
            .map(|client| {
                scope.spawn(move || {
                    let mut connection = Connection::open(address);
                    let mut times = Vec::new();
                    // The generator: a point like any other.
                    let point = format!("{:064x}{:064x}", 1, 2);
                    for n in client.. {
                        let now = Instant::now();
                        if now >= end {
                            break;
                        }
                        let body = format!(r#"{{"eoa":"{EOA}","name":"k{}","hash":"{point}"}}"#, n % KEYS);
                        connection.post("/v1/scalar_mul", token, &body);
                        times.push(now.elapsed());
                    }
                    times
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    let rate = times.len() as f64 / begun.elapsed().as_secs_f64();
    let (p50, p99) = percentiles(times);
    (rate, p50, p99)
}

/// p50 and p99 in milliseconds of a record written in place and made durable, with a pause before each.
fn bare_fdatasync(directory: &Path, pause: Duration) -> (f64, f64) {
    let file = File::options().create(true).truncate(true).write(true).open(directory.join("sync")).unwrap();
    file.write_all_at(&vec![0; 1 << 20], 0).unwrap();
    file.sync_all().unwrap();
    let times = (0..2_000_u64)
        .map(|n| {
            if !pause.is_zero() {
                thread::sleep(pause);
            }
            let begun = Instant::now();
            file.write_all_at(&[1; 256], n * 256).unwrap();
            file.sync_data().unwrap();
            begun.elapsed()
        })
        .collect();
    percentiles(times)
}

fn percentiles(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    (at(0.5), at(0.99))
}

/// Resident memory in MiB.
fn resident(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}
