//! Every PKCS#11 module that can be had, and devices that are emulated, under one suite: `make test-modules`.
//!
//! `ROWS="softhsm nss"` for some of them, `AVS_KMS_LONG=1` for those that take longer. Each row runs in a process of its
//! own. `AVS_KMS_BLESS=1` writes the figures into the page. Not for one function of a token: `hsm/tests/`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test
#![allow(clippy::print_stdout, reason = "it is the harness: its output is the result")]

mod bench;
mod load;
mod page;
mod row;
mod rows;
mod slow;
mod token;
mod walk;
mod world;

#[allow(dead_code, unused_imports, reason = "the tests of the service use more of it")]
#[path = "../service"]
mod service {
    pub(crate) mod support;
}
pub(crate) use service::support;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use row::Row;
use rows::ROWS;
use support::text;

const MEASURED: &str = "measured: ";
const SKIPPED: &str = "skipped: ";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [flag, name] if flag == "--row" => {
            one(ROWS.iter().find(|row| row.name == name).expect("a row of this name"));
            ExitCode::SUCCESS
        }
        _ => all(),
    }
}

/// A row, in this process.
fn one(row: &'static Row) {
    if let Some(reason) = token::lacks(row) {
        test_report::skipped(reason);
        println!("{SKIPPED}{reason}");
        return;
    }
    let measured = walk::walk(row);
    let share = measured.share.map(|share| share.to_string()).unwrap_or_default();
    println!("{MEASURED}{} {} {share}", measured.rate, measured.calls);
}

/// What became of a row.
enum End {
    Passed { rate: f64, calls: f64, share: Option<f64> },
    Skipped,
    Known,
    Failed(String),
}

fn all() -> ExitCode {
    let wanted = std::env::var("ROWS").unwrap_or_default();
    let wanted: Vec<_> = wanted.split_whitespace().collect();
    for name in &wanted {
        assert!(ROWS.iter().any(|row| row.name == *name), "no row {name}");
    }
    let long = std::env::var_os("AVS_KMS_LONG").is_some();
    let is_wanted = |row: &&Row| match wanted.as_slice() {
        [] => long || !row.long,
        // The first is what the others are compared with.
        some => some.contains(&row.name) || row.name == ROWS[0].name,
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page::PATH);
    let mut figures = page::figures(&std::fs::read_to_string(&path).unwrap_or_default());
    let day = jiff::Timestamp::now().to_string()[..10].to_owned();
    let begun = Instant::now();
    let (mut softhsm, mut passed, mut failures) = (None::<f64>, 0, Vec::new());
    for row in ROWS.iter().filter(is_wanted) {
        let started = Instant::now();
        let end = run(row, softhsm);
        let seconds = started.elapsed().as_secs();
        match end {
            End::Passed { rate, calls, share } => {
                passed += 1;
                let ratio = rate / *softhsm.get_or_insert(rate);
                println!(
                    "test {} ... ok, {seconds} s: {}, {rate:.0} signatures/s, {ratio:.2} of SoftHSM's, {calls} calls each",
                    row.name, row.scheme
                );
                let ratio = share.map_or(format!("{ratio:.2}"), |share| format!("{share:.2} of its pace"));
                figures.insert(row.device.to_owned(), [ratio, calls.to_string(), day.clone()]);
            }
            End::Skipped => {
                passed += 1;
                println!("test {} ... ok", row.name);
            }
            End::Known => {
                passed += 1;
                println!(
                    "test {} ... ok, {seconds} s: fails as it is known to: {}",
                    row.name,
                    row.known_failure.unwrap_or_default()
                );
            }
            End::Failed(said) => {
                println!("test {} ... FAILED, {seconds} s\n{said}", row.name);
                failures.push(row.name);
            }
        }
    }
    if std::env::var("AVS_KMS_BLESS").is_ok_and(|value| value == "1") {
        std::fs::write(&path, page::page(&figures)).unwrap();
    }
    let (result, failed) = (if failures.is_empty() { "ok" } else { "FAILED" }, failures.len());
    println!(
        "test result: {result}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out; finished in {:.1}s",
        begun.elapsed().as_secs_f64()
    );
    if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        println!("failed: {}", failures.join(", "));
        ExitCode::FAILURE
    }
}

/// A row in a process of its own, which ends with everything that it started.
fn run(row: &Row, softhsm: Option<f64>) -> End {
    let program = std::env::current_exe().unwrap();
    let arguments = ["--row", row.name];
    let mut command = if token::lacks(row).is_none() && world::is_needed(row) {
        world::command(row, &program, &arguments)
    } else {
        let mut command = Command::new(&program);
        command.args(arguments);
        command
    };
    if let Some(rate) = softhsm {
        command.env(slow::SOFTHSM_RATE, rate.to_string());
    }
    // The child ends itself after a time that no row takes.
    let output = command.output().unwrap();
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    let line = |begin: &str| said.lines().find_map(|line| line.strip_prefix(begin));
    match (output.status.success(), row.known_failure) {
        (true, _) if line(SKIPPED).is_some() => End::Skipped,
        (true, None) => {
            let measured = line(MEASURED).expect("what it measured");
            let mut measured = measured.split_whitespace().map(|number| number.parse().unwrap());
            let (rate, calls) = (measured.next().unwrap(), measured.next().unwrap());
            End::Passed { rate, calls, share: measured.next() }
        }
        (true, Some(known)) => {
            End::Failed(format!("it passes now: take {known:?} out of tests/modules/rows.rs"))
        }
        (false, Some(known)) if said.contains(known) => End::Known,
        (false, _) => End::Failed(said),
    }
}
