//! `doctor` beside a sandbox that is in the way, and with files that are no module.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{EOA, Installation, MODULE, process, text};

fn said(output: &Output) -> String {
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

fn run(installation: &Installation, arguments: &[&str], change: impl Fn(&mut Command)) -> Output {
    let mut command = installation.command(arguments);
    change(&mut command);
    process::output(&mut command)
}

/// 3: `doctor` warns of this host.
fn is_fit(output: &Output) -> bool {
    matches!(output.status.code(), Some(0 | 3)) && said(output).contains("verdict  fit")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to)
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn a_sandbox_that_hides_files_of_the_module_is_named_with_the_cure() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let output = run(&installation, &["doctor"], |_| {});
    assert!(is_fit(&output), "{}", said(&output));
    assert!(
        said(&output).contains("inside the sandbox of the service: profile softhsm"),
        "{}",
        said(&output)
    );
    // SoftHSM as the module of another vendor, with its files outside the data directory.
    let vendor = tempfile::tempdir().unwrap();
    let (module, files) = (vendor.path().join("libvendor.so"), vendor.path().join("files"));
    fs::copy(MODULE, &module).unwrap();
    fs::create_dir(&files).unwrap();
    copy(&installation.data().join("token/tokens"), &files.join("tokens"));
    let conf = files.join("vendor.conf");
    fs::write(&conf, format!("directories.tokendir = {}\n", files.join("tokens").display())).unwrap();
    let environment = |command: &mut Command| {
        command
            .env("AVS_KMS__PKCS11__MODULE", &module)
            .env("AVS_KMS__PKCS11__SOFTHSM_CONF", "")
            .env("SOFTHSM2_CONF", &conf);
    };
    let output = run(&installation, &["doctor"], environment);
    let report = said(&output);
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert!(
        report.contains("the sandbox is in the way") && report.contains("sandbox.extra_paths"),
        "{report}"
    );
    let refused = said(&run(&installation, &["serve"], environment));
    assert!(refused.contains("sandbox.extra_paths") && refused.contains("avs-kms doctor"), "{refused}");
    // The cure.
    let cured = |command: &mut Command| {
        environment(command);
        command.env("AVS_KMS__SANDBOX__EXTRA_PATHS", &files);
    };
    let output = run(&installation, &["doctor"], cured);
    assert!(is_fit(&output), "{}", said(&output));
    assert!(said(&output).contains("profile network"), "{}", said(&output));
    installation.serve_with(cured).create(&token, EOA, "default");
}

#[test]
fn before_init_it_says_what_init_would_choose_and_leaves_nothing() {
    let installation = Installation::empty();
    for is_prepared in [false, true] {
        if is_prepared {
            fs::create_dir(installation.data()).unwrap();
            fs::set_permissions(installation.data(), fs::Permissions::from_mode(0o700)).unwrap();
            // What a doctor that was killed leaves.
            fs::create_dir(installation.data().join("rehearsal")).unwrap();
        }
        let output = run(&installation, &["doctor"], |_| {});
        let said = said(&output);
        assert!(matches!(output.status.code(), Some(0 | 3)), "{said}");
        let verdict = "verdict  fit for `avs-kms init`: it would choose scheme S1/caller, wrapped records in the \
                       token, checkpoint key Ed25519 in the token";
        assert!(said.contains(verdict), "{said}");
        assert_eq!(installation.data().exists(), is_prepared);
        if is_prepared {
            assert_eq!(fs::read_dir(installation.data()).unwrap().count(), 0, "{said}");
        }
    }
    let others = installation.data().with_file_name("log");
    fs::create_dir(&others).unwrap();
    fs::write(others.join("a file"), "").unwrap();
    let output = run(&installation, &["doctor"], |command| {
        command.env("AVS_KMS__AUDIT__DIRECTORY", &others);
    });
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("not fit for `avs-kms init`"), "{}", said(&output));
    assert!(said(&output).contains("audit.directory"), "{}", said(&output));
    installation.must(&["init"]);
    let output = run(&installation, &["doctor"], |_| {});
    assert!(is_fit(&output) && !said(&output).contains("for `avs-kms init`"), "{}", said(&output));
}

#[test]
fn a_file_that_is_no_module_is_refused_with_the_cure() {
    let installation = Installation::new();
    let directory = tempfile::tempdir().unwrap();
    let text_file = directory.path().join("text.so");
    fs::write(&text_file, "no library\n").unwrap();
    let libc = PathBuf::from("/lib/x86_64-linux-gnu/libc.so.6");
    for file in [text_file, libc, directory.path().join("missing.so")] {
        for arguments in [&["serve"][..], &["doctor"]] {
            let output = run(&installation, arguments, |command| {
                command
                    .env("AVS_KMS__PKCS11__MODULE", &file)
                    .env("AVS_KMS__PKCS11__SOFTHSM_CONF", installation.data().join("token/softhsm2.conf"));
            });
            let said = said(&output);
            assert_eq!(output.status.code(), Some(1), "{}: {said}", file.display());
            assert!(said.contains("PKCS#11 library") && said.contains(file.to_str().unwrap()), "{said}");
        }
    }
    installation.serve();
}
