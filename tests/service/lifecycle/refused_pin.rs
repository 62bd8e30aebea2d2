//! A PIN that the token refused: presented once, remembered, and never again by a restart.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::support::{Installation, process, text};

/// An installation behind the fault-injecting module, which counts logins.
struct Bench {
    installation: Installation,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { installation: Installation::new() };
        fs::create_dir(bench.shim()).unwrap();
        bench
    }

    fn shim(&self) -> PathBuf {
        self.installation.data().join("shim")
    }

    fn record(&self) -> PathBuf {
        self.installation.data().join("pin-refused")
    }

    fn pin(&self) -> PathBuf {
        self.installation.data().join("pin")
    }

    fn environment(&self, command: &mut Command) {
        command
            .env("AVS_KMS__PKCS11__MODULE", test_report::fault_injection_module(&self.shim()))
            .env("AVS_KMS__PKCS11__SOFTHSM_CONF", self.installation.data().join("token/softhsm2.conf"))
            .env("HSM_FAULTS_RULES", self.shim().join("rules"))
            .env("HSM_FAULTS_LOG", self.shim().join("log"));
    }

    /// Runs a command; gives its output and how often it presented a PIN.
    fn run(&self, arguments: &[&str]) -> (Output, usize) {
        let log = self.shim().join("log");
        let _ = fs::remove_file(&log);
        let mut command = self.installation.command(arguments);
        self.environment(&mut command);
        let output = process::output(&mut command);
        let log = fs::read_to_string(&log).unwrap_or_default();
        let logins = log.lines().filter_map(|line| line.split("logins=").nth(1));
        let logins = logins.filter_map(|rest| rest.split(' ').next()?.parse::<usize>().ok()).max();
        (output, logins.unwrap_or_default())
    }

    /// The command must end with status 4 after this number of logins; gives what it said.
    fn refused(&self, arguments: &[&str], logins: usize) -> String {
        let (output, presented) = self.run(arguments);
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), presented), (Some(4), logins), "{arguments:?}: {said}");
        said
    }

    fn serves(&self) {
        let service = self.installation.serve_with(|command| self.environment(command));
        assert_eq!(service.stop(), Some(0));
    }
}

#[test]
fn a_refused_pin_is_presented_once_whatever_restarts_the_service() {
    let bench = Bench::new();
    let right = fs::read(bench.pin()).unwrap();
    fs::write(bench.pin(), "000000000000000000000000").unwrap();
    let said = bench.refused(&["serve"], 1);
    assert!(said.contains("tried once") && said.contains("pkcs11.pin_file"), "{said}");
    for _ in 0..3 {
        let said = bench.refused(&["serve"], 0);
        assert!(said.contains("refused this PIN before") && said.contains("doctor --try-pin"), "{said}");
    }
    // Other commands are no way around it.
    bench.refused(&["doctor"], 0);
    bench.refused(&["keys", "list"], 0);
    let record = fs::read_to_string(bench.record()).unwrap();
    assert!(!record.contains("000000000000000000000000"), "{record}");
    // A second wrong one has one try of its own, and the first is remembered beside it.
    fs::write(bench.pin(), "111111111111111111111111").unwrap();
    bench.refused(&["serve"], 1);
    bench.refused(&["serve"], 0);
    fs::write(bench.pin(), "000000000000000000000000").unwrap();
    bench.refused(&["serve"], 0);
    // An operator may insist, once a command.
    bench.refused(&["doctor", "--try-pin"], 1);
    // The right one works at once, and ends the memory.
    fs::write(bench.pin(), right).unwrap();
    bench.serves();
    assert!(!bench.record().exists());
}

#[test]
fn a_pin_that_was_refused_and_is_right_now_needs_one_command() {
    let bench = Bench::new();
    fs::write(bench.shim().join("rules"), "C_Login rv=0xA0").unwrap();
    bench.refused(&["serve"], 1);
    fs::write(bench.shim().join("rules"), "").unwrap();
    bench.refused(&["serve"], 0);
    let (output, presented) = bench.run(&["doctor", "--try-pin"]);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", text(&output.stderr));
    assert_eq!(presented, 1);
    bench.serves();
}

/// Some modules crash in their exit handlers, after a clean C_Finalize.
#[test]
fn a_module_that_crashes_at_exit_spoils_no_exit_status() {
    let bench = Bench::new();
    let service = bench.installation.serve_with(|command| {
        bench.environment(command);
        command.env("HSM_FAULTS_CRASH_AT_EXIT", "1");
    });
    assert_eq!(service.stop(), Some(0));
}

#[test]
fn the_last_try_is_left_to_an_operator() {
    let bench = Bench::new();
    fs::write(bench.shim().join("rules"), "C_GetTokenInfo fill=1").unwrap();
    let said = bench.refused(&["serve"], 0);
    assert!(said.contains("one wrong PIN more") && said.contains("doctor --try-pin"), "{said}");
    let (output, presented) = bench.run(&["doctor", "--try-pin"]);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", text(&output.stderr));
    assert_eq!(presented, 1);
    fs::write(bench.shim().join("rules"), "C_GetTokenInfo fill=2").unwrap();
    let said = bench.refused(&["doctor", "--try-pin"], 0);
    assert!(said.contains("is locked"), "{said}");
}
