//! Kills of `init` and of the first start at every write and sync of the audit log: none leaves a log that the
//! service takes for a rewritten one. `AVS_KMS_LONG=1`: every call instead of some.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::kill::{LIBRARY, compile};
use crate::support::{process, say, text};

/// More calls than either makes.
const MOST_CALLS: usize = 500;

fn program(data: &Path, arguments: &[&str]) -> Command {
    let mut command = process::program(data);
    command
        .args(arguments)
        .env("AVS_KMS__ENCLAVE__WORKERS", "1")
        // The program does not replace itself, so the calls of one process are counted.
        .env("SOFTHSM2_CONF", data.join("token/softhsm2.conf"));
    command
}

fn killing(data: &Path, arguments: &[&str], count: usize) -> Command {
    let mut command = program(data, arguments);
    command
        .env("LD_PRELOAD", data.with_file_name(LIBRARY))
        .env("KILL_IN", "/audit")
        .env("KILL_AT", count.to_string())
        .env("KILL_ALL", "1");
    command
}

/// Runs `serve` until it has listened for a while, then stops it, if it does not end before.
fn serve(mut command: Command, said: &Path) -> ExitStatus {
    command.stdout(Stdio::null()).stderr(File::create(said).unwrap());
    let mut child: Child = command.spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while !fs::read_to_string(said).unwrap().contains("listening on") {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < end, "neither listening nor ended");
        std::thread::sleep(Duration::from_millis(10));
    }
    // One more checkpoint of the first records.
    std::thread::sleep(Duration::from_millis(1_200));
    let _ = kill_process(Pid::from_child(&child), Signal::TERM);
    process::wait(&mut child)
}

/// The service starts over the log, and so it does once more. Gives nothing up for that.
fn starts(data: &Path, at: &str) {
    let restored = process::output(&mut program(data, &["softhsm", "restore"]));
    assert!(restored.status.success(), "{at}: {}", text(&restored.stderr));
    let said = data.with_extension("stderr");
    let status = serve(program(data, &["serve"]), &said);
    assert!(status.success(), "{at}: {status}: {}", fs::read_to_string(&said).unwrap());
    let verified = process::output(&mut program(data, &["audit", "verify"]));
    assert!(verified.status.success(), "{at}: {}{}", text(&verified.stdout), text(&verified.stderr));
}

fn is_killed(status: ExitStatus) -> bool {
    status.signal() == Some(Signal::KILL.as_raw())
}

fn step() -> usize {
    if std::env::var_os("AVS_KMS_LONG").is_some() { 1 } else { 3 }
}

#[test]
fn init() {
    let directory = tempfile::tempdir().unwrap();
    compile(&directory.path().join(LIBRARY));
    let data = directory.path().join("var");
    let (mut kills, mut complete) = (0, 0);
    let ended = (1..MOST_CALLS).step_by(step()).any(|count| {
        let output = process::output(&mut killing(&data, &["init"], count));
        let at = format!("init killed at call {count}");
        if is_killed(output.status) {
            kills += 1;
        } else {
            assert!(output.status.success(), "{at}: {}", text(&output.stderr));
        }
        if data.join("store.sqlite").exists() {
            complete += 1;
            starts(&data, &at);
        } else {
            let refused = process::output(&mut program(&data, &["serve"]));
            let said = text(&refused.stderr);
            assert!(said.contains("is not a data directory"), "{at}: {said}");
            let again = process::output(&mut program(&data, &["init"]));
            assert!(again.status.success(), "{at}: {}", text(&again.stderr));
            starts(&data, &at);
        }
        fs::remove_dir_all(&data).unwrap();
        !is_killed(output.status)
    });
    assert!(ended && kills > 3 && complete > 0, "{kills} kills, {complete} complete");
    say(&format!("init: {kills} kill points"));
}

#[test]
fn the_first_start() {
    let directory = tempfile::tempdir().unwrap();
    compile(&directory.path().join(LIBRARY));
    let data = directory.path().join("var");
    let said = data.with_extension("stderr");
    let mut kills = 0;
    let ended = (1..MOST_CALLS).step_by(step()).any(|count| {
        let made = process::output(&mut program(&data, &["init"]));
        assert!(made.status.success(), "{}", text(&made.stderr));
        let status = serve(killing(&data, &["serve"], count), &said);
        let at = format!("serve killed at call {count}");
        if is_killed(status) {
            kills += 1;
        } else {
            assert!(status.success(), "{at}: {status}: {}", fs::read_to_string(&said).unwrap());
        }
        starts(&data, &at);
        fs::remove_dir_all(&data).unwrap();
        !is_killed(status)
    });
    assert!(ended && kills > 3, "{kills} kills");
    say(&format!("first start: {kills} kill points"));
}
