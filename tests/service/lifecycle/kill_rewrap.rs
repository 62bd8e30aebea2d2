//! Kills of `rewrap` at its system calls: before the move is final the old configuration serves, afterwards the new one
//! alone; a repetition completes it, with every key. `AVS_KMS_LONG=1`: more calls.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use test_report::Guarantee;

use super::kill::{can_trace, copy, must, program, strace};
use super::rewrap::{SECOND, configuration, objects};
use crate::support::{EOA, MODULE, process, say, text};

/// Calls that change what is on the disk, and those by which SoftHSM destroys an object; each with the calls between two
/// kills.
const SWEEPS: [(&str, usize); 2] = [
    ("pwrite64,write,fsync,fdatasync,syncfs,rename,renameat,renameat2,unlink,unlinkat", 29),
    ("unlink,unlinkat", 4),
];

/// More calls than any move makes.
const MOST_CALLS: usize = 50_000;

const PUBLIC_KEYS: &str =
    "SELECT group_concat(hex(g1) || hex(g2)) FROM (SELECT * FROM key_version ORDER BY id)";

/// The second token, so that no kill is inside SoftHSM's making of it.
#[test]
#[ignore = "child process of another test"]
fn make_the_second_token() {
    let Some(data) = std::env::var_os("DATA_OF_THIS_TEST").map(std::path::PathBuf::from) else { return };
    let plan = hsm::SofthsmToken {
        module: MODULE.into(),
        layout: hsm::SofthsmLayout::own(&data.join("token")),
        label: "second".into(),
        pin_file: data.join("pin-second"),
        lock_file: data.join("token.lock"),
    };
    assert!(hsm::make_softhsm_token(&plan).unwrap().created);
}

fn query(data: &Path, sql: &str) -> String {
    let store = rusqlite::Connection::open(data.join("store.sqlite")).unwrap();
    store.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn rewrap(data: &Path, new: &Path) -> Command {
    program(data, &["--json", "rewrap", "--to-config", new.to_str().unwrap()])
}

fn sweep(location: &str, to: &str) {
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path().join("base");
    let init = process::output(program(&base, &["init"]).env("AVS_KMS__KEYS__LOCATION", location));
    assert!(init.status.success(), "{}", text(&init.stderr));
    for arguments in [&["keys", "create"][..], &["keys", "rotate"], &["keys", "create", "--name", "two"]] {
        must(&base, &[arguments, &["--eoa", EOA]].concat());
    }
    process::run_child(
        process::child(module_path!(), "make_the_second_token")
            .env("DATA_OF_THIS_TEST", &base)
            .env("SOFTHSM2_CONF", base.join("token/softhsm2.conf")),
    );
    if !can_trace() {
        Guarantee::Kill.skipped("needs strace and ptrace");
        return;
    }
    let is_long = std::env::var_os("AVS_KMS_LONG").is_some();
    let (mut before, mut after) = (0, 0);
    let data = directory.path().join("run");
    let mut sweep = SWEEPS.into_iter().map(|(calls, step)| (calls, if is_long { 1 } else { step }));
    let (mut calls, mut step) = sweep.next().unwrap();
    let mut count = step / 4 + 1;
    loop {
        copy(&base, &data);
        let new = configuration(&data, "new.toml", to);
        let plain = rewrap(&data, &new);
        let mut traced = strace(calls, count, &plain);
        let status =
            process::wait(traced.stdout(Stdio::null()).stderr(Stdio::null()).spawn().as_mut().unwrap());
        let is_killed = status.signal() == Some(Signal::KILL.as_raw());
        let at = format!("{location}: killed at call {count} of {calls}");
        assert!(is_killed || status.success(), "{at}: {status}");
        must(&data, &["softhsm", "restore"]);
        let is_final = data.join("audit/key-changes").exists();
        // A start by the old configuration: `serve` begins alike.
        let old = process::output(&mut program(&data, &["keys", "show", "--eoa", EOA]));
        let said = text(&old.stderr);
        if is_final {
            after += usize::from(is_killed);
            assert!(!old.status.success() && said.contains("--to-config"), "{at}: {said}");
        } else {
            before += 1;
            assert!(old.status.success(), "{at}: {said}");
        }
        let again = process::output(&mut rewrap(&data, &new));
        assert!(again.status.success(), "{at}: {}", text(&again.stderr));
        let report: Value = serde_json::from_slice(&again.stdout).unwrap();
        assert_eq!(report["moved"], if is_final { 0 } else { 3 }, "{at}: {report}");

        let on_new = |arguments: &[&str]| {
            let output = process::output(program(&data, arguments).env("AVS_KMS_CONFIG", &new));
            let code = output.status.code();
            assert!(matches!(code, Some(0 | 3)), "{at}: {}{}", text(&output.stdout), text(&output.stderr));
            text(&output.stdout)
        };
        // A start opens and proves each record; the points are those of before.
        let doctor: Value = serde_json::from_str(&on_new(&["--json", "doctor"])).unwrap();
        assert_eq!((&doctor["keys"], &doctor["foreign"]), (&3.into(), &0.into()), "{at}: {doctor}");
        on_new(&["keys", "create", "--eoa", EOA, "--name", "two"]);
        assert_eq!(query(&data, PUBLIC_KEYS), query(&base, PUBLIC_KEYS), "{at}");
        on_new(&["audit", "verify"]);
        assert_eq!(objects(&data, "avs-kms"), [""; 0], "{at}: something of the old side is left");
        let keks = "SELECT count(DISTINCT substr(value, 8, 16)) || '' FROM wrapped_record";
        let expected = if doctor["location"] == "store" { "1" } else { "0" };
        assert_eq!(query(&data, keks), expected, "{at}: records of the old side are left");
        fs::remove_dir_all(&data).unwrap();
        count += step;
        if !is_killed {
            let Some(next) = sweep.next() else { break };
            (calls, step) = next;
            count = 1;
        }
        assert!(count < MOST_CALLS, "still killed at call {count}");
    }
    assert!(before > 5 && after > 0, "{before} kills before, {after} after the move was final");
    say(&format!("rewrap from the {location}: {before} kills before it was final, {after} after"));
    Guarantee::Kill.shown();
}

#[test]
fn a_move_from_the_store_to_the_token_that_is_killed_continues() {
    sweep("store", &format!("{SECOND}[keys]\nlocation = \"token\"\n"));
}

#[test]
fn a_move_inside_the_store_that_is_killed_continues() {
    sweep("store", &format!("{SECOND}scheme = \"S6\"\n[keys]\nlocation = \"store\"\n"));
}
