//! What `.ci/summary` makes of a run: counts, and headline guarantees that a capable machine must show.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// A run of two programs: 5 passed, 1 ignored, and 1 child process of another test.
const LOG: &str = "\
test api::keys::a ... ok
test lifecycle::child ... ignored, child process of another test
test auth::anvil::b ... ignored, needs anvil
test result: ok. 3 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.10s
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
";

const ALL_SHOWN: &str = "\
shown\tresidue\tservice::a\t
shown\tpower-cut\tpower::b\t
shown\tfull-disk\taudit::c\t
shown\tkill\tservice::d\t
";

/// Exit status and output of the summary on a machine that can show these guarantees.
fn summary(log: &str, report: &str, can_show: &[&str]) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let pattern = if can_show.is_empty() { "nothing".to_owned() } else { can_show.join("|") };
    let machine = file(
        "machine",
        &format!("#!/bin/sh\ncase $1 in {pattern}) exit 0 ;; *) echo rights; exit 1 ;; esac\n"),
    );
    fs::set_permissions(&machine, fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new("bash")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/summary"))
        .arg("--guarantees")
        .args([file("log", log), file("report", report)])
        .env("CAN_SHOW", machine)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

const EVERYTHING: [&str; 4] = ["residue", "power-cut", "full-disk", "kill"];

#[test]
fn a_whole_run_is_counted_without_child_processes() {
    let (status, said) = summary(LOG, ALL_SHOWN, &EVERYTHING);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("tests: 5 passed, 0 failed, 1 skipped\n"), "{said}");
}

#[test]
fn a_test_that_returned_early_is_skipped_and_not_passed() {
    let skipped = "skipped\t-\tservice::e\tneeds root\nskipped\t-\tservice::e\tneeds root\n";
    let (status, said) = summary(LOG, &format!("{ALL_SHOWN}{skipped}"), &EVERYTHING);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("skipped: service::e: needs root\n"), "{said}");
    assert!(said.contains("tests: 4 passed, 0 failed, 2 skipped\n"), "{said}");
}

#[test]
fn a_guarantee_that_was_skipped_fails_where_the_machine_can_show_it() {
    let report =
        ALL_SHOWN.replace("shown\tresidue\tservice::a\t", "skipped\tresidue\tservice::a\tneeds ptrace");
    let (status, said) = summary(LOG, &report, &EVERYTHING);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("can show the guarantee residue") && said.contains("service::a"), "{said}");

    let (status, said) = summary(LOG, &report, &EVERYTHING[1..]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("residue: cannot be shown here, needs rights"), "{said}");
}

#[test]
fn a_guarantee_that_one_of_two_tests_skipped_fails_where_the_machine_can_show_it() {
    let report = format!("{ALL_SHOWN}skipped\tpower-cut\thsm::f\tneeds loop devices\n");
    let (status, said) = summary(LOG, &report, &EVERYTHING);
    assert!(status == Some(1) && said.contains("hsm::f"), "{said}");
}

#[test]
fn a_guarantee_that_no_test_speaks_of_fails() {
    let report = ALL_SHOWN.replace("shown\tkill\tservice::d\t\n", "");
    let (status, said) = summary(LOG, &report, &EVERYTHING);
    assert!(status == Some(1) && said.contains("no test has shown the guarantee kill"), "{said}");
}

#[test]
fn a_failed_test_fails_and_so_does_a_run_without_tests() {
    let failed = LOG.replace("2 passed; 0 failed", "1 passed; 1 failed");
    let (status, said) = summary(&failed, ALL_SHOWN, &EVERYTHING);
    assert!(status == Some(1) && said.contains("tests: 4 passed, 1 failed, 1 skipped"), "{said}");
    let (status, said) = summary("", ALL_SHOWN, &EVERYTHING);
    assert_eq!(status, Some(1), "{said}");
}
