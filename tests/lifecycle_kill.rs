//! The program is killed at its n-th system call of a kind, for every n, while it changes a key: after the next start
//! store, token and audit log agree, and the log says whether the change was done or undone.
//!
//! strace, or a library put before the C library, counts and kills, so the shipped program has no switch for it.
//! `AVS_KMS_LONG=1`: every call instead of some.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failing test should panic; figures are printed"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const EOA: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

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

/// `kill.c`, compiled.
const LIBRARY: &str = "kill.so";

fn compile(library: &Path) {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lifecycle_kill/kill.c");
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(library).arg(source).status();
    assert!(
        compiled.is_ok_and(|status| status.success()),
        "a C compiler is needed: apt-get install --yes gcc"
    );
}

struct Change {
    operation: &'static str,
    arguments: &'static [&'static str],
    /// States, newest version first.
    before: &'static [&'static str],
    after: &'static [&'static str],
}

fn program(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_avs-kms"));
    prepare(&mut command, data);
    command
}

fn prepare(command: &mut Command, data: &Path) {
    command
        .current_dir(data.parent().unwrap())
        .env("AVS_KMS__DATA__DIRECTORY", data)
        .env("AVS_KMS__AUDIT__SEGMENT_BYTES", "1048576")
        .env("AVS_KMS__ENCLAVE__WORKERS", "1")
        .env("AVS_KMS__ROTATION__INTERVAL", "100ms")
        .env("AVS_KMS__SERVER__LISTEN", "127.0.0.1:0")
        .env("SOFTHSM2_CONF", data.join("token/softhsm2.conf"))
        .stdin(Stdio::null());
}

fn run(data: &Path, arguments: &[&str]) -> Output {
    program(data).args(arguments).output().unwrap()
}

fn must(data: &Path, arguments: &[&str]) -> String {
    let output = run(data, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(data: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&must(data, &[&["--json"], arguments].concat())).unwrap()
}

/// Runs the change until it is killed or done; says whether it was killed.
fn killed(data: &Path, change: &Change, party: Party, count: usize) -> bool {
    let mut command = match party {
        Party::Files(part) => {
            let mut command = program(data);
            command.env("LD_PRELOAD", data.with_file_name(LIBRARY));
            command.env("KILL_IN", part).env("KILL_AT", count.to_string());
            command
        }
        Party::Token(calls) => {
            let mut command = Command::new("strace");
            let inject = format!("inject={calls}:signal=KILL:when={count}");
            command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e", &inject]);
            command.arg(env!("CARGO_BIN_EXE_avs-kms"));
            prepare(&mut command, data);
            command
        }
    };
    command.args(change.arguments).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the program, or strace: apt-get install --yes strace");
    if change.arguments != ["serve"] {
        return !child.wait().unwrap().success();
    }
    // The service goes on by itself: it has done what it was to do when the store says so.
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        if destroyed(data) {
            std::thread::sleep(Duration::from_millis(300));
            let done = child.try_wait().unwrap().is_none();
            terminate(&child, party);
            child.wait().unwrap();
            return !done;
        }
        assert!(Instant::now() < end, "{count}: neither killed nor done");
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
fn copy(from: &Path, to: &Path) {
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
    // A kill inside SoftHSM's login can destroy its token file; the copy is put back (README, token-restore).
    must(data, &["token-restore"]);
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
    let done = codes.iter().any(|code| ["ok", "recovered_finished"].contains(code));
    let expected = if done { change.after } else { change.before };
    assert_eq!(states, expected, "{at}: the log says {codes:?}");
    // One of the probe, one of each version that is not destroyed.
    let alive = states.iter().filter(|state| *state != "destroyed").count() + 1;
    assert_eq!(json(data, &["doctor"])["keys"], alive, "{at}: the token holds something else than the store");
    match (codes.as_slice(), done) {
        ([], _) => "not begun",
        (codes, true) if codes.contains(&"recovered_finished") => "finished at the start",
        (_, true) => "done",
        (_, false) => "undone",
    }
}

fn sweep(change: &Change, base: &Path, room: &Path) {
    let long = std::env::var_os("AVS_KMS_LONG").is_some();
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut points = 0;
    compile(&room.join(LIBRARY));
    for (nth, party) in PARTIES.into_iter().enumerate() {
        if matches!(party, Party::Token("write")) && !long {
            continue;
        }
        let mut count = if long { 1 } else { 1 + nth };
        loop {
            let data: PathBuf = room.join("run");
            copy(base, &data);
            let was_killed = killed(&data, change, party, count);
            if was_killed {
                let (Party::Files(what) | Party::Token(what)) = party;
                let at = format!("{} killed at call {count} of {what}", change.operation);
                *outcomes.entry(settled(&data, change, &at)).or_default() += 1;
                points += 1;
            }
            std::fs::remove_dir_all(&data).unwrap();
            // Without a kill the change has fewer calls of this kind than that.
            if !was_killed {
                break;
            }
            count += if long { 1 } else { 4 };
        }
    }
    assert!(points > if long { 20 } else { 3 }, "only {points} kills");
    println!("{}: {points} kill points: {outcomes:?}", change.operation);
}

/// An installation in which the changes before were made.
fn installation(room: &Path, made: &[&[&str]]) -> PathBuf {
    let base = room.join("base");
    must(&base, &["init"]);
    for arguments in made {
        must(&base, &[arguments, &["--eoa", EOA][..]].concat());
    }
    base
}

#[test]
fn creation() {
    let room = tempfile::tempdir().unwrap();
    let change = Change {
        operation: "keys.create",
        arguments: &["keys", "create", "--eoa", EOA],
        before: &[],
        after: &["active"],
    };
    sweep(&change, &installation(room.path(), &[]), room.path());
}

#[test]
fn rotation() {
    let room = tempfile::tempdir().unwrap();
    let change = Change {
        operation: "keys.rotate",
        arguments: &["keys", "rotate", "--eoa", EOA],
        before: &["active"],
        after: &["pending", "active"],
    };
    sweep(&change, &installation(room.path(), &[&["keys", "create"]]), room.path());
}

#[test]
fn activation() {
    let room = tempfile::tempdir().unwrap();
    let change = Change {
        operation: "keys.activate",
        arguments: &["keys", "activate", "--eoa", EOA],
        before: &["pending", "active"],
        after: &["active", "retiring"],
    };
    sweep(&change, &installation(room.path(), &[&["keys", "create"], &["keys", "rotate"]]), room.path());
}

#[test]
fn schedule_of_a_destruction() {
    let room = tempfile::tempdir().unwrap();
    let change = Change {
        operation: "keys.destroy",
        arguments: &["keys", "destroy", "--version", "2", "--eoa", EOA],
        before: &["pending", "active"],
        after: &["scheduled_destroy", "active"],
    };
    sweep(&change, &installation(room.path(), &[&["keys", "create"], &["keys", "rotate"]]), room.path());
}

#[test]
fn destruction() {
    let room = tempfile::tempdir().unwrap();
    let made: [&[&str]; 3] =
        [&["keys", "create"], &["keys", "rotate"], &["keys", "destroy", "--version", "2"]];
    let base = installation(room.path(), &made);
    // Its date has come.
    let store = rusqlite::Connection::open(base.join("store.sqlite")).unwrap();
    store.execute("UPDATE key_version SET destroy_at = 1 WHERE destroy_at IS NOT NULL", []).unwrap();
    store.close().unwrap();
    let change = Change {
        operation: "keys.destruction",
        arguments: &["serve"],
        before: &["scheduled_destroy", "active"],
        after: &["destroyed", "active"],
    };
    sweep(&change, &base, room.path());
}
