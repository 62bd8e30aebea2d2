//! Kills of the program at its n-th system call of a kind, for every n, while it changes a key.
//!
//! After the next start store, token and audit log agree, and the log says whether the change was done or undone.
//! strace, or a preloaded library, counts and kills, so the shipped program has no switch for it. `AVS_KMS_LONG=1`:
//! every call instead of some.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use test_report::Guarantee;

use crate::support::with_store::with_store;
use crate::support::{EOA, process, say, text};

/// Whose calls are counted: a thread of each party makes its steps durable by them.
#[derive(Clone, Copy)]
enum Party {
    /// Writes and syncs of files whose path contains this.
    Files(&'static str),
    /// These system calls, which only SoftHSM makes.
    Token(&'static str),
}

const PARTIES: [Party; 4] = [
    Party::Files("store.sqlite"),
    Party::Files("/audit/"),
    Party::Token("syncfs,fsync,unlink,rename"),
    Party::Token("write"),
];

/// More calls of one kind than any change makes.
const MOST_CALLS: usize = 2_000;

/// `kill.c`, compiled.
pub(crate) const LIBRARY: &str = "kill.so";

pub(crate) fn compile(library: &Path) {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/lifecycle/kill/kill.c");
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(library).arg(source).status();
    assert!(
        compiled.is_ok_and(|status| status.success()),
        "a C compiler is needed: apt-get install --yes gcc"
    );
}

pub(super) fn can_trace() -> bool {
    let mut trace = Command::new("strace");
    trace.args(["-qq", "-o", "/dev/null", "true"]).stderr(Stdio::null());
    trace.status().is_ok_and(|status| status.success())
}

struct Change {
    operation: &'static str,
    arguments: &'static [&'static str],
    /// States, newest version first.
    before: &'static [&'static str],
    after: &'static [&'static str],
}

pub(super) fn program(data: &Path, arguments: &[&str]) -> Command {
    let mut command = process::program(data);
    command
        .args(arguments)
        .env("AVS_KMS__ENCLAVE__WORKERS", "1")
        .env("AVS_KMS__ROTATION__CHECK_INTERVAL", "100ms")
        .env("AVS_KMS__ROTATION__OBSERVATION_TIME", "1ms")
        .env("SOFTHSM2_CONF", data.join("token/softhsm2.conf"));
    command
}

fn run(data: &Path, arguments: &[&str]) -> Output {
    process::output(&mut program(data, arguments))
}

pub(super) fn must(data: &Path, arguments: &[&str]) -> String {
    let output = run(data, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(data: &Path, arguments: &[&str]) -> Value {
    let output = run(data, &[&["--json"], arguments].concat());
    // 3: `doctor` warns of this host.
    let code = output.status.code();
    assert!(code == Some(0) || code == Some(3), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs the change until it is killed or done; says whether it was killed. Any other end fails the test.
fn killed(data: &Path, change: &Change, party: Party, count: usize) -> bool {
    let plain = program(data, change.arguments);
    let mut command = match party {
        Party::Files(part) => {
            let mut command = plain;
            command.env("LD_PRELOAD", data.with_file_name(LIBRARY));
            command.env("KILL_IN", part).env("KILL_AT", count.to_string());
            command
        }
        Party::Token(calls) => strace(calls, count, &plain),
    };
    let said = data.with_extension("stderr");
    command.stdout(Stdio::null()).stderr(File::create(&said).unwrap());
    let mut child = command.spawn().expect("the program, or strace: apt-get install --yes strace");
    let status = if change.arguments == ["serve"] {
        until_destroyed(data, &mut child, party)
    } else {
        process::wait(&mut child)
    };
    // strace dies of the signal that its child died of.
    let is_killed = status.signal() == Some(Signal::KILL.as_raw());
    let said = std::fs::read_to_string(&said).unwrap();
    assert!(is_killed || status.success(), "{}: neither killed nor done: {status}: {said}", change.operation);
    is_killed
}

/// `command` under strace, which kills it at the `count`-th of these system calls.
pub(super) fn strace(calls: &str, count: usize, command: &Command) -> Command {
    let mut traced = Command::new("strace");
    let inject = format!("inject={calls}:signal=KILL:when={count}");
    traced.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e", &inject]);
    traced.arg(command.get_program()).args(command.get_args());
    if let Some(directory) = command.get_current_dir() {
        traced.current_dir(directory);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => traced.env(name, value),
            None => traced.env_remove(name),
        };
    }
    traced
}

/// Ends the service once the store says that it has destroyed the version, if it is not killed before.
fn until_destroyed(data: &Path, child: &mut Child, party: Party) -> ExitStatus {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if destroyed(data) {
            // A kill at a later step of the destruction still comes.
            std::thread::sleep(Duration::from_millis(300));
            terminate(child, party);
            return process::wait(child);
        }
        if Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            panic!("neither killed nor done in 60 s");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Asks the service to end: itself, or what strace runs.
fn terminate(child: &Child, party: Party) {
    let service = match party {
        Party::Files(_) => Some(Pid::from_child(child)),
        Party::Token(_) => std::fs::read_to_string(format!("/proc/{}/task/{0}/children", child.id()))
            .ok()
            .and_then(|children| Pid::from_raw(children.trim().parse().ok()?)),
    };
    // It may have been killed just now.
    service.map(|service| kill_process(service, Signal::TERM));
}

fn destroyed(data: &Path) -> bool {
    let store = rusqlite::Connection::open(data.join("store.sqlite")).unwrap();
    let sql = "SELECT count(*) FROM key_version WHERE destroyed_at IS NOT NULL";
    store.query_row(sql, [], |row| row.get::<_, i64>(0)).is_ok_and(|count| count > 0)
}

/// A copy of an installation, with nothing of what runs over it.
pub(super) fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
    // SoftHSM's configuration names its directory.
    let conf = to.join("token/softhsm2.conf");
    let text = std::fs::read_to_string(&conf).unwrap();
    std::fs::write(&conf, text.replace(from.to_str().unwrap(), to.to_str().unwrap())).unwrap();
}

fn states(data: &Path) -> Vec<String> {
    let output = run(data, &["--json", "keys", "show", "--eoa", EOA]);
    let Ok(shown) = serde_json::from_slice::<Value>(&output.stdout) else { return Vec::new() };
    shown["versions"].as_array().unwrap().iter().map(|v| v["state"].as_str().unwrap().to_owned()).collect()
}

/// After a kill: the next start puts everything right, and store, token and log say the same. Gives how it ended.
fn settled(data: &Path, change: &Change, at: &str) -> &'static str {
    // A kill inside SoftHSM's login can destroy its token file; the copy is put back (`avs-kms softhsm restore`).
    must(data, &["softhsm", "restore"]);
    must(data, &["keys", "create", "--eoa", EOA, "--name", "probe"]);
    let states = states(data);
    let verdict = json(data, &["audit", "verify"]);
    assert_eq!(verdict["open_intents"], 0, "{at}");
    let lines = must(data, &["audit", "tail", "-n", "1000"]);
    let records: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let intents: Vec<_> = records
        .iter()
        .filter(|record| record["kind"] == "intent" && record["op"] == change.operation)
        .filter(|record| record["key"]["name"] == "default")
        .map(|record| &record["seq"])
        .collect();
    let codes: Vec<_> = records
        .iter()
        .filter(|record| intents.contains(&&record["intent"]))
        .map(|record| record["code"].as_str().unwrap())
        .collect();
    let done = codes.iter().any(|code| ["ok", "recovered_applied"].contains(code));
    let expected = if done { change.after } else { change.before };
    assert_eq!(states, expected, "{at}: the log says {codes:?}");
    // One of the probe, one of each version that is not destroyed.
    let alive = states.iter().filter(|state| *state != "destroyed").count() + 1;
    assert_eq!(json(data, &["doctor"])["keys"], alive, "{at}: the token holds something else than the store");
    match (codes.as_slice(), done) {
        ([], _) => "not begun",
        (codes, true) if codes.contains(&"recovered_applied") => "finished at the start",
        (_, true) => "done",
        (_, false) => "undone",
    }
}

fn sweep(change: &Change, base: &Path, directory: &Path) {
    let long = std::env::var_os("AVS_KMS_LONG").is_some();
    let step = if long { 1 } else { 4 };
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    let can_trace = can_trace();
    compile(&directory.join(LIBRARY));
    for (nth, party) in PARTIES.into_iter().enumerate() {
        if matches!(party, Party::Token("write")) && !long {
            continue;
        }
        if matches!(party, Party::Token(_)) && !can_trace {
            continue;
        }
        let (Party::Files(what) | Party::Token(what)) = party;
        let first = if long { 1 } else { 1 + nth };
        let ended = (first..MOST_CALLS).step_by(step).any(|count| {
            let data: PathBuf = directory.join("run");
            copy(base, &data);
            let is_killed = killed(&data, change, party, count);
            if is_killed {
                let at = format!("{} killed at call {count} of {what}", change.operation);
                *outcomes.entry(settled(&data, change, &at)).or_default() += 1;
            }
            std::fs::remove_dir_all(&data).unwrap();
            // Without a kill the change has fewer calls of this kind than that.
            !is_killed
        });
        assert!(ended, "{}: still killed at call {MOST_CALLS} of {what}", change.operation);
    }
    let points: usize = outcomes.values().sum();
    assert!(points > if long { 20 } else { 3 }, "only {points} kills");
    say(&format!("{}: {points} kill points: {outcomes:?}", change.operation));
    if can_trace {
        Guarantee::Kill.shown();
    } else {
        Guarantee::Kill.skipped("needs strace and ptrace to kill at the calls of SoftHSM");
    }
}

/// An installation in which the changes before were made.
fn installation(directory: &Path, made: &[&[&str]]) -> PathBuf {
    installation_in("token", directory, made)
}

/// The same with its wrapped records in the token or in the store.
fn installation_in(location: &str, directory: &Path, made: &[&[&str]]) -> PathBuf {
    let base = directory.join("base");
    let init = process::output(program(&base, &["init"]).env("AVS_KMS__KEYS__LOCATION", location));
    assert!(init.status.success(), "init: {}", text(&init.stderr));
    for arguments in made {
        must(&base, &[arguments, &["--eoa", EOA][..]].concat());
    }
    base
}

#[test]
fn creation() {
    creation_in("token");
}

#[test]
fn creation_in_the_store() {
    creation_in("store");
}

fn creation_in(location: &str) {
    let directory = tempfile::tempdir().unwrap();
    let change = Change {
        operation: "keys.create",
        arguments: &["keys", "create", "--eoa", EOA],
        before: &[],
        after: &["active"],
    };
    sweep(&change, &installation_in(location, directory.path(), &[]), directory.path());
}

#[test]
fn rotation() {
    let directory = tempfile::tempdir().unwrap();
    let change = Change {
        operation: "keys.rotate",
        arguments: &["keys", "rotate", "--eoa", EOA],
        before: &["active"],
        after: &["pending", "active"],
    };
    sweep(&change, &installation(directory.path(), &[&["keys", "create"]]), directory.path());
}

#[test]
fn activation() {
    let directory = tempfile::tempdir().unwrap();
    let change = Change {
        operation: "keys.activate",
        arguments: &["keys", "activate", "--eoa", EOA],
        before: &["pending", "active"],
        after: &["active", "retiring"],
    };
    sweep(
        &change,
        &installation(directory.path(), &[&["keys", "create"], &["keys", "rotate"]]),
        directory.path(),
    );
}

#[test]
fn schedule_of_a_destruction() {
    let directory = tempfile::tempdir().unwrap();
    let change = Change {
        operation: "keys.destroy",
        arguments: &["keys", "destroy", "--yes", "--version", "2", "--eoa", EOA],
        before: &["pending", "active"],
        after: &["destroy_scheduled", "active"],
    };
    sweep(
        &change,
        &installation(directory.path(), &[&["keys", "create"], &["keys", "rotate"]]),
        directory.path(),
    );
}

#[test]
fn destruction() {
    destruction_in("token");
}

#[test]
fn destruction_in_the_store() {
    destruction_in("store");
}

fn destruction_in(location: &str) {
    let directory = tempfile::tempdir().unwrap();
    let made: [&[&str]; 3] =
        [&["keys", "create"], &["keys", "rotate"], &["keys", "destroy", "--yes", "--version", "2"]];
    let base = installation_in(location, directory.path(), &made);
    // Its date has come.
    with_store(&base, "destruction is due", "");
    let change = Change {
        operation: "keys.destroy_due",
        arguments: &["serve"],
        before: &["destroy_scheduled", "active"],
        after: &["destroyed", "active"],
    };
    sweep(&change, &base, directory.path());
}

#[test]
fn what_was_recorded_without_the_token() {
    let directory = tempfile::tempdir().unwrap();
    let base = installation(directory.path(), &[&["keys", "create"]]);
    let pin = base.join("pin");
    std::fs::rename(&pin, pin.with_extension("away")).unwrap();
    must(&base, &["keys", "disable", "--eoa", EOA]);
    std::fs::rename(pin.with_extension("away"), &pin).unwrap();
    let change = Change {
        operation: "keys.disable",
        arguments: &["keys", "show", "--eoa", EOA],
        before: &["active"],
        after: &["disabled"],
    };
    sweep(&change, &base, directory.path());
}
