//! `[enclave]` and `[sandbox]`.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::kinds::{BOOL, Choice, List, Number, PATH, TIME};
use crate::config::section_macro::section;

section! {
    /// The worker threads that use the keys.
    ["enclave"]
    pub struct Enclave {
        /// Worker threads, each with a session of its own at the token; 0: one per processor core.
        /// Raise it for an HSM behind a network.
        workers: usize = "0", Number(0..=1024);
        /// Operations that may wait for a worker. Further ones fail with `overloaded`.
        queue_size: usize = "1024", Number(1..=1_048_576);
        /// Refuse to start on a kernel without memfd_secret(2). Without it scalars are in locked
        /// pages, which other processes of root can read.
        require_secret_memory: bool = "false", BOOL;
        /// Check of each signature before it leaves. `linear` proves it against the public key by a
        /// second multiplication, which takes about twice the time. `curve` checks that it is a point
        /// of the curve.
        fault_check: FaultCheck = "linear", Choice(FAULT_CHECKS);
        /// Interval at which the token must decrypt a known record. `/readyz` shows the result.
        canary_interval: Duration = "5s", TIME;
        /// Longest time of one PKCS#11 call. After it the service abandons the worker thread and
        /// starts another. Raise it for an HSM whose slowest answer takes longer.
        stall_timeout: Duration = "2s", TIME;
    }
}

section! {
    /// What the service process gives up: capabilities and files that this configuration does not
    /// name (Landlock) before it opens store and token, system calls (seccomp) before the first request.
    ["sandbox"]
    pub struct Sandbox {
        /// `softhsm` leaves files; `network` leaves files and sockets, for the module of an HSM.
        /// `auto` takes `softhsm` for SoftHSM's module and `network` for every other. `off` gives up
        /// nothing, and the service logs a warning.
        mode: SandboxMode = "auto", Choice(MODES);
        /// Further files and directories that the module of an HSM reads and writes, such as
        /// `["/etc/Chrystoki.conf", "/opt/nfast"]`.
        extra_paths: Vec<PathBuf> = "", List(PATH);
    }
}

/// What is left to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxMode {
    /// `Softhsm` for SoftHSM's module, `Network` for every other.
    Auto,
    /// Files.
    Softhsm,
    /// Files and sockets.
    Network,
    /// Everything.
    Off,
}

const MODES: &[(&str, SandboxMode)] = &[
    ("auto", SandboxMode::Auto),
    ("softhsm", SandboxMode::Softhsm),
    ("network", SandboxMode::Network),
    ("off", SandboxMode::Off),
];

/// How the result of a multiplication is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultCheck {
    /// The result is on the curve.
    Curve,
    /// The result is consistent with the public key, too.
    Linear,
}

const FAULT_CHECKS: &[(&str, FaultCheck)] = &[("linear", FaultCheck::Linear), ("curve", FaultCheck::Curve)];

impl Enclave {
    /// Puts numbers in the place of what follows from the machine.
    pub(in crate::config) fn resolve(&mut self, cores: usize) {
        if self.workers == 0 {
            self.workers = cores;
        }
    }
}
