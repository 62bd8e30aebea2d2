//! Kills of `restore` at each call that changes a name or syncs a file: nothing is restored and a repetition restores
//! everything, or everything is there.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use test_report::Guarantee;

use super::kill::{can_trace, strace};
use crate::support::{EOA, Installation, process, say, text};

const CALLS: &str =
    "openat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir,fsync,fdatasync,syncfs,write";

/// More calls than any restore makes.
const MOST_CALLS: usize = 20_000;

fn restore(data: &Path, audit: &Path, archive: &Path) -> Command {
    let mut command = process::program(data);
    command.args(["restore", "--yes"]).arg(archive).env("AVS_KMS__AUDIT__DIRECTORY", audit);
    command
}

#[test]
fn a_restore_that_is_killed_has_done_nothing_or_all_of_it() {
    let installation = Installation::new();
    installation.must(&["keys", "create", "--eoa", EOA]);
    let archive = installation.data().with_file_name("kms.tar.zst");
    installation.must(&["backup", archive.to_str().unwrap()]);
    let pin = std::fs::read(installation.data().join("pin")).unwrap();
    if !can_trace() {
        Guarantee::Kill.skipped("needs strace and ptrace");
        return;
    }
    let step = if std::env::var_os("AVS_KMS_LONG").is_some() { 1 } else { 7 };
    let (mut nothing, mut everything) = (0, 0);
    let mut count = 1;
    loop {
        let place = tempfile::tempdir().unwrap();
        let (data, audit) = (place.path().join("var"), place.path().join("log"));
        // A mount point.
        std::fs::create_dir(&audit).unwrap();
        let plain = restore(&data, &audit, &archive);
        let mut command = strace(CALLS, count, &plain);
        let status =
            process::wait(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().as_mut().unwrap());
        if status.signal() != Some(Signal::KILL.as_raw()) {
            assert!(status.success(), "neither killed nor done at {count}: {status}");
            break;
        }
        let is_there = data.join("store.sqlite").exists();
        let again = process::output(&mut restore(&data, &audit, &archive));
        let said = text(&again.stderr);
        if is_there {
            everything += 1;
            assert!(!again.status.success() && said.contains("exists"), "killed at {count}: {said}");
        } else {
            nothing += 1;
            assert!(again.status.success(), "killed at {count}: {said}");
        }
        let left: Vec<_> = [place.path(), &data, &audit]
            .into_iter()
            .flat_map(|directory| std::fs::read_dir(directory).unwrap())
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains("restor"))
            .collect();
        assert!(left.is_empty(), "killed at {count}: {left:?}");
        std::fs::write(data.join("pin"), &pin).unwrap();
        let mut shown = process::program(&data);
        let run = |command: &mut Command| {
            let output = process::output(command.env("AVS_KMS__AUDIT__DIRECTORY", &audit));
            assert!(output.status.success(), "killed at {count}: {}", text(&output.stderr));
            text(&output.stdout)
        };
        std::fs::set_permissions(data.join("pin"), Permissions::from_mode(0o600)).unwrap();
        let shown = run(shown.args(["keys", "show", "--eoa", EOA]));
        assert!(shown.contains("active"), "killed at {count}: {shown}");
        run(process::program(&data).args(["audit", "verify"]));
        count += step;
        assert!(count < MOST_CALLS, "still killed at call {count}");
    }
    assert!(nothing > 3, "only {nothing} kills");
    say(&format!("restore: {nothing} kills left nothing, {everything} everything"));
    Guarantee::Kill.shown();
}
