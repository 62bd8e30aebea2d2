//! Programs that break the straight line must not compile, each for the reason that its first line names.
//!
//! They are handed to `rustc` with the library that this test was built beside. Not trybuild: it builds every
//! dependency twice more, SQLite included, which takes longer than the rest of the suite.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The newest `lib<name>-….rlib` beside this very test.
fn library(directory: &Path, name: &str) -> PathBuf {
    let prefix = format!("lib{name}-");
    let found = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).filter(|path| {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        name.starts_with(&prefix) && name.ends_with(".rlib")
    });
    found.max_by_key(|path| path.metadata().unwrap().modified().unwrap()).unwrap()
}

/// What the compiler says of a program, or nothing if it compiles.
fn complaint(program: &Path) -> Option<String> {
    let test = std::env::current_exe().unwrap();
    let directory = test.parent().unwrap();
    let output = tempfile::tempdir().unwrap();
    let extern_of = |name: &str| format!("{name}={}", library(directory, name).display());
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let compiled = Command::new(compiler)
        .args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata"])
        .args(["--extern", &extern_of("avs_kms"), "--extern", &extern_of("audit_log")])
        .args(["--extern", &extern_of("hsm")])
        .arg("-L")
        .arg(format!("dependency={}", directory.display()))
        .arg("--out-dir")
        .arg(output.path())
        .arg(program)
        .output()
        .unwrap();
    (!compiled.status.success()).then(|| String::from_utf8_lossy(&compiled.stderr).into_owned())
}

#[test]
fn programs_that_break_the_straight_line_do_not_compile() {
    let mut tried = 0;
    for entry in std::fs::read_dir("tests/architecture/must_not_compile").unwrap() {
        let program = entry.unwrap().path();
        let source = std::fs::read_to_string(&program).unwrap();
        let (first, _) = source.split_once('\n').unwrap();
        // `//! E0616: why`, or words of the message where it has no number.
        let (reason, _) = first.strip_prefix("//! ").unwrap().split_once(": ").unwrap();
        let complaint = complaint(&program);
        if reason == "compiles" {
            assert_eq!(complaint, None, "the control does not compile: {}", program.display());
        } else {
            let complaint = complaint.unwrap_or_else(|| panic!("{} compiles", program.display()));
            let errors: Vec<_> = complaint
                .lines()
                .filter(|line| line.starts_with("error") && !line.starts_with("error: aborting"))
                .collect();
            assert!(!errors.is_empty(), "{}: {complaint}", program.display());
            assert!(errors.iter().all(|error| error.contains(reason)), "{}: {errors:?}", program.display());
        }
        tried += 1;
    }
    assert!(tried >= 10, "only {tried} programs");
}
