//! Reports of tests that libtest has no result for: skipped here, or a headline guarantee shown.
//!
//! libtest counts a test that returns early as passed. Such a test calls [`skipped`] or [`Guarantee::skipped`] before
//! it returns. Each report goes to standard error, which libtest does not capture with `writeln`, and, if
//! `AVS_KMS_TEST_REPORT` names a file, is appended to it. `.ci/test` sets the variable; `.ci/summary` counts the lines.
//!
//! [`TimeLimit`] ends a test that does not end by itself: libtest has no limit of its own.
//!
//! [`fault_injection_module`] is the module of `hsm/fault-injection`, where the service loads it.
//!
//! Not for: tests that never run by default; those are `#[ignore]`d and libtest counts them.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// A guarantee of the README that the suite must show wherever the machine can show it.
///
/// `.ci/summary` knows what each needs, and fails if a machine has that and no test reported [`Guarantee::shown`].
#[derive(Clone, Copy, Debug)]
pub enum Guarantee {
    /// No scalar and no PIN is left in readable memory. Needs `CAP_SYS_PTRACE` and `memfd_secret`.
    Residue,
    /// A power cut loses no acknowledged record and no key. Needs root, loop devices, mkfs.ext4, perl and strace.
    PowerCut,
    /// A full disk stops signing and loses nothing. Needs root, to mount a small file system.
    FullDisk,
    /// A kill at any system call leaves store, token and log in agreement. Needs strace and a C compiler.
    Kill,
}

impl Guarantee {
    /// The name in the report, as `.ci/summary` knows it.
    fn name(self) -> &'static str {
        match self {
            Self::Residue => "residue",
            Self::PowerCut => "power-cut",
            Self::FullDisk => "full-disk",
            Self::Kill => "kill",
        }
    }

    /// The test ran to its end on this machine. To be called after its last assertion.
    pub fn shown(self) {
        report("shown", self.name(), "");
    }

    /// The test did not run, because this machine lacks something.
    pub fn skipped(self, reason: &str) {
        report("skipped", self.name(), reason);
    }
}

/// The test did not run, because this machine lacks something.
pub fn skipped(reason: &str) {
    report("skipped", "-", reason);
}

/// `WHAT <tab> GUARANTEE <tab> PROGRAM::TEST <tab> REASON`; one write, so that lines of several programs do not mix.
fn report(what: &str, guarantee: &str, reason: &str) {
    let line = format!("{what}\t{guarantee}\t{}\t{reason}\n", test());
    if what == "skipped" {
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
    let Some(path) = std::env::var_os("AVS_KMS_TEST_REPORT") else { return };
    let written = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    if let Err(error) = written {
        let _ = writeln!(std::io::stderr(), "AVS_KMS_TEST_REPORT cannot be written: {error}");
    }
}

/// The running test: libtest names its thread after it, or runs it on the main thread and was given its name.
fn test() -> String {
    let program = std::env::current_exe().ok();
    let stem = program.as_deref().and_then(|path| path.file_stem()?.to_str()).unwrap_or("unknown");
    let program = stem.rsplit_once('-').map_or(stem, |(name, _)| name); // without cargo's hash
    let thread = std::thread::current().name().filter(|name| *name != "main").map(str::to_owned);
    let argument = || std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    format!("{program}::{}", thread.or_else(argument).as_deref().unwrap_or("unknown"))
}

/// Ends the whole test program if it is not dropped within the time that no test should take.
///
/// A loop without an end would otherwise hang the run and print nothing.
#[derive(Debug)]
pub struct TimeLimit {
    _done: mpsc::Sender<()>,
}

impl TimeLimit {
    /// 20 minutes from now, 3 hours for the long forms (`AVS_KMS_LONG`).
    #[must_use]
    pub fn of_this_test() -> Self {
        let minutes = if std::env::var_os("AVS_KMS_LONG").is_some() { 180 } else { 20 };
        let test = test();
        let (done, ended) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            if ended.recv_timeout(Duration::from_secs(minutes * 60)) == Err(RecvTimeoutError::Timeout) {
                let _ = writeln!(std::io::stderr(), "{test} has run for {minutes} minutes");
                std::process::abort();
            }
        });
        Self { _done: done }
    }
}

/// A copy of the fault-injecting PKCS#11 module in `directory`, which belongs to the test.
///
/// The checkout may belong to another user, as in a CI container; the service loads no module from there.
///
/// # Panics
/// When the module is not built or cannot be copied.
#[must_use]
#[expect(clippy::expect_used, reason = "a test cannot go on without the module")]
pub fn fault_injection_module(directory: &Path) -> PathBuf {
    const NAME: &str = "libhsm_fault_injection.so";
    let copy = directory.join(NAME);
    if !copy.exists() {
        let built = std::env::current_exe().expect("the path of this program").with_file_name(NAME);
        let part = directory.join(format!("{NAME}.{}", std::process::id()));
        std::fs::copy(&built, &part).expect("`cargo test --workspace` builds the module");
        std::fs::rename(&part, &copy).expect("the copy gets its name");
    }
    copy
}
