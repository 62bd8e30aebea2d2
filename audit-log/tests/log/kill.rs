//! A process that records under load is killed, or its disk fails it, again and again; what it acknowledged is there.
//!
//! The process is this test binary itself, started with `AVS_KMS_AUDIT_CHILD`. It prints a line for each record when

//! it is acknowledged. `AVS_KMS_LONG=1`: 1,000 kills instead of 20, every call of the sweep instead of some.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::kit::{Multiply, boot};
use crate::support::loop_disk::{LoopDisk, run};
use audit_log::{AuditLog, OpenError, Outcome, Settings, leaf_hash, lines, verify};
use test_report::Guarantee;

const CHILD: &str = "AVS_KMS_AUDIT_CHILD";
/// How long the child works, milliseconds.
const TIME: &str = "AVS_KMS_AUDIT_CHILD_MS";
const SEGMENT: u64 = 1 << 18;

fn settings(directory: &Path) -> Settings {
    Settings { segment_bytes: SEGMENT, ..Settings::new(directory) }
}

fn is_long() -> bool {
    std::env::var_os("AVS_KMS_LONG").is_some()
}

/// The process that is killed: 16 tasks that record and settle for some time.
#[test]
#[ignore = "child process of another test"]
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
    let time = std::env::var(TIME).ok().and_then(|time| time.parse().ok()).unwrap_or(3_000);
    let time = Duration::from_millis(time);
    runtime.block_on(async {
        let tasks: Vec<_> = (0..16_u8)
            .map(|n| {
                let log = log.clone();
                tokio::spawn(async move {
                    while begun.elapsed() < time {
                        match log.record(Multiply(n)).await {
                            Ok(recorded) => {
                                let receipt = recorded.receipt();
                                let line =
                                    format!("ack {} {}\n", receipt.seq, hex::encode(receipt.record_hash));
                                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                                recorded.consume().1.record_outcome(Outcome::ok(1));
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
    command.args(["kill::child", "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
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
        assert!(report.is_sound(), "cycle {cycle}: {report:?}");
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
    let strace = Command::new("strace").arg("-V").stdout(Stdio::null()).status();
    assert!(strace.is_ok(), "strace is needed: see the Makefile");
    let calls = [
        "openat",
        "pread64",
        "pwrite64",
        "fdatasync",
        "fsync",
        "getdents64",
        "renameat2",
        "unlinkat",
        "newfstatat",
        "statx",
    ];
    let faults = ["error=EIO", "error=ENOSPC", "signal=KILL"];
    let places: &[&str] =
        if is_long() { &["1", "2", "3", "5", "8", "13", "21", "30", "4+", "20+"] } else { &["3", "9+"] };
    let (mut points, mut total, mut noticed) = (0, 0, 0);
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
                traced.env(CHILD, &directory).env(TIME, "300").stdout(Stdio::piped()).stderr(Stdio::null());
                let output = traced.output().unwrap();
                let acks = acknowledged(&output.stdout);
                let report = verify(&directory).unwrap();
                assert!(report.is_sound(), "{inject}: {report:?}");
                let aside = std::fs::read_dir(&directory).unwrap();
                let aside = aside.filter(|entry| {
                    entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("abandoned-")
                });
                assert!(aside.count() <= 2, "{inject}: each attempt to go on leaves a file");
                let stopped = output.status.code() != Some(0)
                    || output.stdout.windows(7).any(|word| word == b"refused");
                let resumed = lines(&directory, 0, None)
                    .unwrap()
                    .any(|line| line.unwrap().json.contains("\"kind\":\"resume\""));
                noticed += usize::from(stopped || resumed);
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
    // A sweep that injects nothing would pass, too.
    assert!(total > 0 && noticed > points / 4, "{noticed} of {points} faults had an effect");
    println!("{points} fault points, {noticed} with an effect, {total} acknowledged records, 0 violations");
}

/// Power cuts: a loop-mounted ext4 that is shut down without flushing its journal while the child works.
///
/// Only what was acknowledged before the cut counts: the process outlives the disk for a moment. The control runs
/// with every sync replaced by nothing and must lose records, or the harness shows nothing.
#[test]
fn a_power_cut_never_loses_what_was_acknowledged_and_without_syncs_it_does() {
    let cuts = if is_long() { 100 } else { 5 };
    let Some((acks, lost)) = power_cuts(cuts, false) else {
        Guarantee::PowerCut.skipped("needs root, loop devices, mkfs.ext4, perl and strace");
        return;
    };
    let (control_acks, control_lost) = power_cuts(3, true).unwrap();
    println!(
        "{cuts} power cuts: {lost} of {acks} lost; control without syncs: {control_lost} of {control_acks}"
    );
    assert_eq!(lost, 0);
    assert!(acks > 0 && control_lost > 0);
    Guarantee::PowerCut.shown();
}

fn power_cuts(cuts: u64, without_syncs: bool) -> Option<(usize, usize)> {
    let (mut total, mut lost) = (0, 0);
    for cut in 0..cuts {
        let root = tempfile::tempdir().unwrap();
        let disk = LoopDisk::make(root.path()).filter(|_| run("strace", &["-qq", "true"]))?;
        let directory = disk.mount.join("audit");
        AuditLog::create(&settings(&directory)).unwrap();
        assert!(run("sync", &[]));
        let plain = command(&directory);
        let mut child = if without_syncs {
            let mut traced = Command::new("strace");
            traced.args(["-f", "-qq", "-o", "/dev/null", "-e", "inject=fdatasync,fsync:retval=0"]);
            traced.arg(plain.get_program()).args(plain.get_args());
            // Killing the tracer leaves the child alive for the rest of its time.
            traced.env(CHILD, &directory).env(TIME, "1000").stdout(Stdio::piped()).stderr(Stdio::null());
            traced.spawn().ok()?
        } else {
            let mut plain = plain;
            plain.spawn().unwrap()
        };
        let mut stdout = child.stdout.take().unwrap();
        let heard = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let ear = heard.clone();
        let listener = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = std::io::Read::read(&mut stdout, &mut bytes) {
                ear.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        });
        std::thread::sleep(Duration::from_millis(300 + cut * 61 % 300));
        let before = heard.lock().unwrap().clone();
        // EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH: nothing more reaches the disk, not even the journal.
        let shutdown = "open F,'<',$ARGV[0] or die; my $f=pack('L',2); ioctl(F,0x8004587d,$f) or die $!";
        assert!(run("perl", &["-e", shutdown, disk.mount.to_str().unwrap()]));
        let _ = child.kill();
        let _ = child.wait();
        listener.join().unwrap();
        disk.again();
        let acks = acknowledged(&before);
        total += acks.len();
        match verify(&directory) {
            Ok(report) if report.is_sound() => {
                let found = records(&directory);
                lost += acks.iter().filter(|(seq, hash)| found.get(seq) != Some(hash)).count();
                AuditLog::open(settings(&directory), boot()).unwrap().0.close().unwrap();
            }
            bad => {
                assert!(without_syncs, "cut {cut}: {bad:?}");
                lost += acks.len();
            }
        }
    }
    Some((total, lost))
}
