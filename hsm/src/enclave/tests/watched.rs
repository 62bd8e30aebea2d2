//! The process whose memory the residue tests search: it obeys by lines, and stops for a snapshot.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::scanner::{Hits, Scanner};
use super::support::{self, Fixture};

pub(super) struct Watched {
    pub(super) child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Watched {
    pub(super) fn start(name: &str, fixture: &Fixture, role: &str) -> Self {
        let mut command = support::again(&format!("enclave::tests::residue::{name}"), &fixture.directory);
        command.env("HSM_VICTIM", role).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (commands, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut watched = Self { child, commands, answers };
        watched.wait();
        watched
    }

    fn wait(&mut self) {
        let mut line = String::new();
        while !line.ends_with("done\n") {
            line.clear();
            assert_ne!(self.answers.read_line(&mut line).unwrap(), 0, "the victim died");
        }
    }

    pub(super) fn tell(&mut self, command: &str) {
        writeln!(self.commands, "{command}").unwrap();
        self.wait();
    }

    /// A snapshot of the stopped process.
    pub(super) fn search(&self, scanner: &Scanner, everything: bool) -> (Hits, usize) {
        self.signal(Signal::STOP);
        let stat = format!("/proc/{}/stat", self.child.id());
        while !std::fs::read_to_string(&stat).unwrap().contains(") T ") {
            std::thread::yield_now();
        }
        let found = scanner.process(self.child.id(), everything);
        self.signal(Signal::CONT);
        found
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
