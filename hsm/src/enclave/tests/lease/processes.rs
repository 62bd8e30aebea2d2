//! Services in processes of their own at one token, and the leases that they and others leave in it.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::super::meddling::{meddle, put};
use super::super::support::{Fixture, again, soon};
use super::super::*;
use crate::labels::LEASE_LABEL;
use crate::settings::LeaseSettings;
use crate::token::lease::{self, Claim};

pub(super) const PATIENCE: Duration = Duration::from_secs(3);
pub(super) const THIS_BOOT: &str = "this-boot";

/// A process with this lock file, on this boot.
pub(super) fn settings(fixture: &Fixture, lock: &str, boot: &str) -> Settings {
    let interval = Duration::from_millis(200);
    let lease = LeaseSettings { interval, patience: PATIENCE, take_over: false, boot: Some(boot.to_owned()) };
    let module = test_report::fault_injection_module(&fixture.directory);
    // As an HSM: the lock of SoftHSM's token would refuse before.
    let softhsm = None;
    Settings { module, lease, lock_file: fixture.directory.join(lock), softhsm, ..fixture.settings() }
}

pub(super) fn rules(fixture: &Fixture, text: &str) {
    std::fs::write(fixture.directory.join("rules"), text).unwrap();
}

/// Runs the test; in its child processes, a service that signs and says how it is until its input ends.
pub(super) fn processes(name: &str, test: impl FnOnce(&Fixture, [u8; 16])) {
    isolated(&format!("lease::{name}"), |fixture| {
        let Ok(lock) = std::env::var("HSM_LOCK") else {
            let installation = hex::decode(fixture.initialised().installation).unwrap();
            return test(&fixture, installation.try_into().unwrap());
        };
        if let Ok(rule) = std::env::var("HSM_RULE") {
            rules(&fixture, &rule);
        }
        let boot = std::env::var("HSM_BOOT").unwrap();
        let enclave = Enclave::open(settings(&fixture, &lock, &boot)).unwrap();
        println!("said open");
        for command in std::io::stdin().lines().map_while(Result::ok) {
            match command.as_str() {
                "sign" => println!("said {}", enclave.sign_checkpoint(b"text\n", soon()).is_ok()),
                "state" => println!("said {:?}", enclave.health().token),
                other => unreachable!("{other}"),
            }
            std::io::stdout().flush().unwrap();
        }
        enclave.close();
    });
}

pub(super) fn command(name: &str, fixture: &Fixture, lock: &str) -> Command {
    let mut command = again(&format!("enclave::tests::lease::{name}"), &fixture.directory);
    command.env("HSM_LOCK", lock).env("HSM_BOOT", THIS_BOOT);
    command
}

/// A service in a process of its own.
pub(super) struct Service {
    pub(super) child: Child,
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Service {
    pub(super) fn start(name: &str, fixture: &Fixture, lock: &str) -> Self {
        let mut command = command(name, fixture, lock);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, lines) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()).lines());
        let mut service = Self { child, input, lines };
        assert_eq!(service.said(), "open");
        service
    }

    pub(super) fn said(&mut self) -> String {
        let mut lines = self.lines.by_ref().map_while(Result::ok);
        lines.find_map(|line| line.split_once("said ").map(|(_, said)| said.to_owned())).expect("it died")
    }

    pub(super) fn ask(&mut self, command: &str) -> String {
        writeln!(self.input.as_mut().unwrap(), "{command}").unwrap();
        self.said()
    }

    pub(super) fn signal(&self, signal: &str) {
        let kill = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(kill.unwrap().success());
    }

    /// Waits until it has stopped by itself; gives its reason.
    pub(super) fn stopped(&mut self) -> String {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let state = self.ask("state");
            if state.contains("Stopped") {
                assert_eq!(self.ask("sign"), "false");
                return state;
            }
            assert!(Instant::now() < until, "{state}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(super) fn kill(mut self) {
        self.child.kill().and_then(|()| self.child.wait()).unwrap();
    }

    pub(super) fn close(mut self) {
        drop(self.input.take());
        assert!(self.child.wait().unwrap().success());
    }
}

pub(super) fn leases(fixture: &Fixture) -> usize {
    meddle(fixture, |session| lease::read(session).unwrap().len())
}

/// Writes the lease of another process.
pub(super) fn put_lease(session: &Session, installation: [u8; 16]) {
    let claim = Claim::of_this_process(installation, "another-boot".to_owned(), (1, 1)).unwrap();
    put(session, LEASE_LABEL, "avs-kms/1", &claim.encode());
}

pub(super) fn remove_leases(session: &Session) {
    for (object, _) in lease::read(session).unwrap() {
        session.destroy(object).unwrap();
    }
}

pub(super) fn open_and_close(settings: Settings) -> (Duration, Vec<String>) {
    let begun = Instant::now();
    let enclave = Enclave::open(settings).unwrap();
    let (took, from) = (begun.elapsed(), enclave.health().findings.taken_over.holders);
    enclave.close();
    (took, from)
}
