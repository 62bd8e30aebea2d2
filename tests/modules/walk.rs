//! What every row goes through, step by step: from `doctor` on an empty token to a PIN that the token refuses.
#![allow(clippy::print_stdout, reason = "a row that fails says at which step")]

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bench::Bench;
use crate::load::{kill_while_creating, kill_while_signing, sign_for};
use crate::row::{Recipe, Row};
use crate::slow;
use crate::support::{Installation, text};
use crate::token::write_secret;

/// What a row is measured by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Signatures per second of four clients.
    pub(crate) rate: f64,
    /// Calls into the module for one signature.
    pub(crate) calls: f64,
    /// Of what a slow token grants 16 workers.
    pub(crate) share: Option<f64>,
}

/// Signatures of the first key.
const SIGNATURES: u64 = 200;

pub(crate) fn walk(row: &'static Row) -> Measured {
    let mut bench = step(row, "make the token", || Bench::new(row));
    let bench = &mut bench;
    step(row, "doctor before init", || doctor_before_init(bench));
    step(row, "init", || init(bench));
    step(row, "serve and create", || {
        bench.serve();
        bench.create("one");
        bench.create("two");
    });
    let calls = step(row, "sign 200 times", || sign(bench));
    let rate = step(row, "sign with many clients", || rate(bench));
    let keep_pace = |pace| step(row, "keep the pace of a slow token", || slow::check(bench, pace, calls));
    let share = row.slow.map(keep_pace);
    if row.name == "idle_sessions" {
        step(row, "sign after idle sessions were closed", || slow::after_idle(bench));
    }
    step(row, "restart", || {
        bench.stop();
        doctor(bench);
        bench.serve();
        bench.signs("one", 10);
        bench.signs("two", 1);
    });
    step(row, "kill under load", || killed_under_load(bench));
    step(row, "kill during creation", || killed_during_creation(bench));
    // Pace has no part in the rest, which would take minutes.
    if row.slow.is_none() {
        step(row, "full token", || full(bench));
        step(row, "a new PIN", || new_pin(bench));
        step(row, "a wrong PIN, twice", || wrong_pin(bench));
    }
    if row.recipe == Recipe::Softhsm {
        step(row, "backup and restore", || backup(bench));
    }
    Measured { rate, calls, share }
}

fn step<R>(row: &Row, name: &str, work: impl FnOnce() -> R) -> R {
    println!("{}: {name}", row.name);
    let begun = Instant::now();
    let result = work();
    println!("{}: {name}: {:.1} s", row.name, begun.elapsed().as_secs_f64());
    result
}

/// It tries what `init` needs, names what `init` chooses, and leaves nothing on the disk or in the token.
fn doctor_before_init(bench: &Bench) {
    let row = bench.row;
    // `init` makes the token of this row, and the rehearsal one of its own.
    let objects = || (row.recipe != Recipe::Softhsm).then(|| bench.token.objects(row, &bench.place()));
    let before = objects();
    let output = bench.run(&["doctor"]);
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    println!("{said}");
    assert!(matches!(output.status.code(), Some(0 | 3)), "{:?}: {said}", output.status);
    let place = if row.records_in_store { "store" } else { "token" };
    let verdict = "verdict  fit for `avs-kms init`: it would choose scheme";
    let verdict = format!("{verdict} {}, wrapped records in the {place},", row.scheme);
    assert!(said.contains(&verdict), "{said}");
    assert_eq!(objects(), before, "it changed the objects of the token");
    assert!(!bench.installation.data().exists(), "it left a data directory");
}

fn init(bench: &Bench) {
    let report: Value = serde_json::from_str(&bench.must(&["--json", "init"])).unwrap();
    let text = |member: &str| report[member].as_str().unwrap().to_owned();
    assert_eq!(format!("{}/{}", text("scheme"), text("variant")), bench.row.scheme);
}

/// Compared with arkworks one by one. The calls of the module for each, to the nearest whole number.
fn sign(bench: &Bench) -> f64 {
    let mut count = SIGNATURES;
    bench.signs("one", 1);
    if bench.row.slow.is_some() {
        count /= 4;
        // Each worker opens its session.
        sign_for(&bench.client(), slow::CLIENTS, Duration::from_secs(2));
    }
    let before = bench.calls();
    bench.signs("one", count);
    ((bench.calls() - before) / count as f64).round()
}

fn rate(bench: &Bench) -> f64 {
    let time = Duration::from_secs(2);
    let loaded = sign_for(&bench.client(), 4, time);
    assert!(bench.row.flaky || loaded.refused.is_empty(), "{:?}", loaded.refused);
    loaded.total() as f64 / time.as_secs_f64()
}

fn doctor(bench: &Bench) {
    let mut said = String::new();
    // On a flaky device it is asked again, as an operator would.
    for _ in 0..if bench.row.flaky { 5 } else { 1 } {
        let output = bench.run(&["--json", "doctor"]);
        said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        if let Ok(report) = serde_json::from_slice::<Value>(&output.stdout)
            && report["fit"] == true
        {
            return;
        }
    }
    panic!("doctor does not find it fit: {said}");
}

fn killed_under_load(bench: &mut Bench) {
    let client = bench.client();
    let service = bench.service.take().unwrap();
    kill_while_signing(&client, service, if bench.row.slow.is_some() { 20 } else { 100 });
    let output = bench.run(&["audit", "verify"]);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", text(&output.stderr));
    bench.serve();
    bench.signs("one", 5);
    bench.signs("two", 1);
}

/// Every key that a client knows of is there and is the one that it knows.
fn killed_during_creation(bench: &mut Bench) {
    let made = kill_while_creating(bench, 6);
    println!("{} keys were reported as made", made.len());
    bench.serve();
    for (name, key) in made {
        bench.keys.insert(name.clone(), key);
        bench.signs(&name, 1);
    }
    bench.signs("one", 5);
}

/// No new key, and every old one signs; a new one once there is space.
fn full(bench: &mut Bench) {
    bench.stop();
    bench.serve_observed();
    bench.rules("C_CreateObject rv=0x31");
    if bench.row.records_in_store {
        // It is asked for no object.
        bench.create("one-too-many");
        return bench.rules("");
    }
    let answer = bench.client().create("one-too-many").expect("an answer");
    assert_eq!(answer.code(), (507, "hsm_full"), "{answer:?}");
    bench.signs("one", 5);
    bench.rules("");
    if bench.row.name == "twelve_objects" {
        let answer = bench.client().create("one-too-many").expect("an answer");
        assert_eq!(answer.code(), (507, "hsm_full"), "{answer:?}");
        bench.signs("two", 5);
    } else {
        bench.create("one-too-many");
        bench.signs("one-too-many", 1);
    }
}

fn new_pin(bench: &mut Bench) {
    bench.stop();
    bench.token.change_pin(bench.row, &bench.place(), "8numbers");
    bench.serve();
    bench.signs("one", 5);
    bench.stop();
}

/// Presented once, however often a supervisor starts the service; the right one works at once.
fn wrong_pin(bench: &mut Bench) {
    let right = fs::read_to_string(&bench.token.pin_file).unwrap();
    write_secret(&bench.token.pin_file, "8wrong8w");
    for presented in [1, 0] {
        let (output, logins) = bench.observed(&["serve"]);
        assert_eq!((output.status.code(), logins), (Some(4), presented), "{}", text(&output.stderr));
    }
    write_secret(&bench.token.pin_file, &right);
    bench.serve();
    bench.signs("two", 5);
    bench.stop();
}

/// Another machine has every key.
fn backup(bench: &mut Bench) {
    let archive = bench.place().join("kms.tar.zst");
    bench.must(&["backup", archive.to_str().unwrap()]);
    let other = Installation::empty();
    other.must(&["restore", "--yes", archive.to_str().unwrap()]);
    fs::copy(&bench.token.pin_file, other.data().join("pin")).unwrap();
    bench.installation = other;
    bench.serve();
    let names: Vec<_> = bench.keys.keys().cloned().collect();
    for name in names {
        bench.signs(&name, 1);
    }
    bench.stop();
}
