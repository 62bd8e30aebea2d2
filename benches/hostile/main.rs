//! `make load-hostile`: what honest clients get while attackers attack at ten times their rate, for 60 seconds.
//!
//! Prints each figure with what it must be, and ends with status 1 if one is missed. `SECONDS=10` runs shorter. Default
//! limits; `auth.allowed_operators` is `*`, so that every EOA may log in.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement that goes wrong should say so and stop"
)]

mod workload;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use workload::{Target, percentile};

fn main() -> ExitCode {
    // `cargo test --benches` runs bench programs with `--test`; this one is for `cargo bench` alone.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let seconds = std::env::var("SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let directory = tempfile::tempdir_in(".").unwrap();
    let data = directory.path().join("var");
    let output = |arguments: &[&str]| {
        let output = program(&data).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    output(&["init"]);
    let issue = |eoa, scopes| output(&["access-token", "issue", "--eoa", eoa, "--scope", scopes]);
    let token = issue(workload::SIGNER, "keys:create,keys:rotate,sign:point");
    // An attacker comes from everywhere.
    let account = output(&[
        "access-token",
        "issue",
        "--eoa",
        workload::ATTACKER,
        "--scope",
        "keys:create,keys:read",
        "--network",
        "127.0.0.0/8",
    ]);
    let (mut service, address, said) = start(&data);
    let target = Target { address, socket: data.join("admin.sock"), token, account };
    workload::prepare(&target);

    let (memory, before) = (Memory::watch(service.id()), said.load(Ordering::Relaxed));
    let mut figures = workload::run(&target, Duration::from_secs(seconds));
    let (first, last) = memory.thirds();
    let stderr = said.load(Ordering::Relaxed) - before;
    let pid = rustix::process::Pid::from_child(&service);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(service.wait().unwrap().success());
    output(&["audit", "verify"]);
    let written = written_by_attackers(&output(&["audit", "tail", "-n", "1000000"]));

    let asked = figures.signed.len() + figures.not_signed.len();
    println!("{seconds} s; {} requests of attackers, {asked} of the signer", figures.hostile);
    println!("an attacker made {} keys until its quota", figures.attacker_keys);
    let p99 = percentile(&mut figures.signed, 99).as_secs_f64();
    println!("signatures: p50 {:.4} s, p99 {p99:.4} s", percentile(&mut figures.signed, 50).as_secs_f64());
    for failed in [&figures.not_signed, &figures.not_disabled, &figures.not_revoked] {
        failed.iter().take(5).for_each(|failed| println!("failed: {failed}"));
    }
    let share = 100.0 * figures.signed.len() as f64 / asked.max(1) as f64;
    let disables = percentile(&mut figures.disabled, 99).as_secs_f64();
    let per_minute = (written + stderr) as f64 * 60.0 / seconds as f64 / 1_000.0;
    let growth = last - first;
    let refused = figures.not_disabled.len() + figures.not_revoked.len();
    let done = figures.disabled.len().min(figures.revoked);
    let musts = [
        ("honest signatures that succeed, %", share, ">= 99", share >= 99.0),
        ("disables and revocations that fail", refused as f64, "= 0", refused == 0 && done > 0),
        ("disable, p99, s", disables, "<= 1", disables <= 1.0),
        ("audit log and stderr by attackers, KB/min", per_minute, "<= 100", per_minute <= 100.0),
        ("memory, last third against first, MiB", growth, "<= 8", growth <= 8.0),
    ];
    for (what, value, must, holds) in musts {
        println!("{what:>44}: {value:>8.3}  must be {must:<6} {}", if holds { "ok" } else { "MISSED" });
    }
    if musts.iter().all(|(.., holds)| *holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Bytes of the records that attackers caused: all but those of the signer, the host, the service itself, and of what
/// the attacker with an account was allowed to do.
fn written_by_attackers(log: &str) -> usize {
    let records: Vec<(usize, Value)> =
        log.lines().map(|line| (line.len(), serde_json::from_str(line).unwrap())).collect();
    let is_honest = |record: &Value| {
        let actor = &record["actor"];
        actor["eoa"] == workload::SIGNER && actor["kind"] == "access_token"
            || actor["kind"] == "local"
            || record["kind"] == "intent"
            || record["intent"].is_u64()
            || record["kind"] == "start"
            || record["kind"] == "stop"
    };
    records.iter().filter(|(_, record)| !is_honest(record)).map(|(bytes, _)| bytes).sum()
}

fn program(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_avs-kms"));
    command
        .arg("--data")
        .arg(data)
        .env_remove("SOFTHSM2_CONF")
        .env("AVS_KMS__LOG__LEVEL", "info")
        .env("AVS_KMS__AUTH__ALLOWED_OPERATORS", "*")
        .env("AVS_KMS__SERVER__HEALTH_LISTEN", "");
    command
}

/// The service, its address, and how many bytes it has said.
fn start(data: &Path) -> (Child, SocketAddr, Arc<AtomicUsize>) {
    let mut child =
        program(data).args(["serve", "--listen", "127.0.0.1:0"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let address =
        lines.find_map(|line| Some(line.split("listening on http://").nth(1)?.trim().parse().unwrap()));
    let said = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&said);
    let counted = move |line: String| {
        count.fetch_add(line.len() + 1, Ordering::Relaxed);
    };
    thread::spawn(move || lines.for_each(counted));
    (child, address.expect("the service did not start"), said)
}

/// Samples of the resident memory of a process.
struct Memory(thread::JoinHandle<Vec<f64>>, Arc<AtomicBool>);

impl Memory {
    fn watch(pid: u32) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&done);
        let resident = move || {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
            line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
        };
        let sample = move || {
            let mut samples = Vec::new();
            while !end.load(Ordering::Relaxed) {
                samples.push(resident());
                thread::sleep(Duration::from_millis(200));
            }
            samples
        };
        Self(thread::spawn(sample), done)
    }

    /// The means of the first and of the last third, MiB.
    fn thirds(self) -> (f64, f64) {
        self.1.store(true, Ordering::Relaxed);
        let samples = self.0.join().unwrap();
        let third = samples.len() / 3;
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len().max(1) as f64;
        let means = (mean(&samples[..third]), mean(&samples[samples.len() - third..]));
        println!("memory: {:.1} MiB in the first third, {:.1} in the last", means.0, means.1);
        means
    }
}
