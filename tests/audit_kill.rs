//! A process that records under load is killed, or its disk fails it, again and again; what it acknowledged is there.
//!
//! The process is this test binary itself, started with `AVS_KMS_AUDIT_CHILD`. It prints a line for each record when
//! it is acknowledged. `AVS_KMS_LONG=1`: 1,000 kills instead of 20, every call of the sweep instead of some.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failing test should panic; the child talks to its parent by printing"
)]

#[path = "support/audit.rs"]
mod kit;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use avs_kms::audit::{AuditLog, OpenError, Outcome, Settings, leaf_hash, lines, verify};
use kit::{Multiply, boot};

const CHILD: &str = "AVS_KMS_AUDIT_CHILD";
const SEGMENT: u64 = 1 << 18;

fn settings(directory: &Path) -> Settings {
    Settings { segment_bytes: SEGMENT, ..Settings::new(directory) }
}

fn is_long() -> bool {
    std::env::var_os("AVS_KMS_LONG").is_some()
}

/// The process that is killed: 16 tasks that record and settle for some seconds.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(CHILD) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (log, _) = match AuditLog::open(settings(Path::new(&directory)), boot()) {
        Ok(open) => open,
        Err(error) => {
            println!("refused {error:?}");
            return;
        }
    };
    let begun = std::time::Instant::now();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..16_u8)
            .map(|n| {
                let log = log.clone();
                tokio::spawn(async move {
                    while begun.elapsed() < Duration::from_millis(1_500) {
                        match log.record(Multiply(n)).await {
                            Ok(recorded) => {
                                let receipt = recorded.receipt();
                                let line =
                                    format!("ack {} {}\n", receipt.seq, hex::encode(receipt.record_hash));
                                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                                recorded.consume().1.settle(Outcome::ok(1));
                            }
                            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    let _ = log.close();
}

fn command(directory: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["child", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(CHILD, directory).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// What the child acknowledged, from its whole lines. A number may come twice: never acknowledged the first time.
fn acknowledged(output: &[u8]) -> BTreeMap<u64, String> {
    let text = String::from_utf8_lossy(output);
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let acks = whole.lines().filter_map(|line| line.split_once("ack ").map(|(_, ack)| ack));
    acks.filter_map(|ack| ack.split_once(' ').map(|(seq, hash)| (seq.parse().unwrap(), hash.to_owned())))
        .collect()
}

fn records(directory: &Path) -> BTreeMap<u64, String> {
    let all = lines(directory, 0, None).unwrap();
    all.map(Result::unwrap).map(|line| (line.seq, hex::encode(leaf_hash(line.json.as_bytes())))).collect()
}

#[test]
fn killed_under_load_it_never_loses_what_it_acknowledged() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("audit");
    AuditLog::create(&settings(&directory)).unwrap();
    let mut all = BTreeMap::new();
    let cycles: u64 = if is_long() { 1_000 } else { 20 };
    for cycle in 0..cycles {
        let mut child = command(&directory).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(30 + cycle * 97 % 270));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        all.extend(acknowledged(&output.stdout));
        let report = verify(&directory).unwrap();
        assert!(report.is_good(), "cycle {cycle}: {report:?}");
    }
    let found = records(&directory);
    let lost: Vec<_> = all.iter().filter(|(seq, hash)| found.get(seq) != Some(hash)).collect();
    assert!(lost.is_empty(), "{} of {} lost, first {:?}", lost.len(), all.len(), lost.first());
    assert!(all.len() as u64 > cycles, "{} records in {cycles} cycles", all.len());
    println!("{cycles} kills, {} acknowledged records, 0 lost", all.len());
}

/// Each kind of file system call fails once, or from some call on, or is the last thing the process does.
#[test]
fn whatever_call_fails_nothing_acknowledged_is_missing_and_the_log_stays_good() {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        println!("SKIPPED: strace is not installed");
        return;
    }
    let calls = ["openat", "pwrite64", "fdatasync", "fsync", "renameat2", "unlinkat", "newfstatat", "statx"];
    let faults = ["error=EIO", "error=ENOSPC", "signal=KILL"];
    let places: &[&str] =
        if is_long() { &["1", "2", "3", "5", "8", "13", "21", "30", "4+", "20+"] } else { &["3", "9+"] };
    let (mut points, mut total) = (0, 0);
    for call in calls {
        for fault in faults {
            for place in places {
                let root = tempfile::tempdir().unwrap();
                let directory = root.path().join("audit");
                AuditLog::create(&settings(&directory)).unwrap();
                let inject = format!("inject={call}:{fault}:when={place}");
                let plain = command(&directory);
                let mut traced = Command::new("timeout");
                traced.args(["-s", "KILL", "20", "strace", "-f", "-qq", "-o", "/dev/null", "-P"]);
                traced.arg(&directory);
                // Only calls that concern the log's own files.
                for name in ["seg-00000000000000000000.log", "next-segment"] {
                    traced.arg("-P").arg(directory.join(name));
                }
                traced.args(["-e", &inject]).arg(plain.get_program()).args(plain.get_args());
                traced.env(CHILD, &directory).stdout(Stdio::piped()).stderr(Stdio::null());
                let output = traced.output().unwrap();
                let acks = acknowledged(&output.stdout);
                let report = verify(&directory).unwrap();
                assert!(report.is_good(), "{inject}: {report:?}");
                let found = records(&directory);
                for (seq, hash) in &acks {
                    assert_eq!(found.get(seq), Some(hash), "{inject}: record {seq} was acknowledged");
                }
                // Whatever happened, the next start works, or says in words that the disk refused.
                match AuditLog::open(settings(&directory), boot()) {
                    Ok((log, _)) => drop(log.close().unwrap()),
                    Err(error @ OpenError::Damaged { .. }) => panic!("{inject}: {error}"),
                    Err(error) => panic!("{inject}: {error}"),
                }
                points += 1;
                total += acks.len();
            }
        }
    }
    assert!(total > 0);
    println!("{points} fault points, {total} acknowledged records, 0 violations");
}
