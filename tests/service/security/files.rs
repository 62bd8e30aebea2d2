//! Files of other users, and files that wait: each is refused before anything of it is used.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Installation, MODULE, process, say, text};

/// Some other user of this machine.
const OTHER_USER: Option<u32> = Some(4242);

/// Whether this process can give files away. Says so where it cannot.
fn can_give_away() -> bool {
    let can = rustix::process::geteuid().is_root();
    if !can {
        test_report::skipped("needs root to give files to another user");
    }
    can
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn pipe(path: &Path) -> PathBuf {
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, rustix::fs::Mode::RUSR, 0).unwrap();
    path.to_owned()
}

/// Sets one setting.
fn set(name: &'static str, value: impl AsRef<Path>) -> impl Fn(&mut Command) {
    move |command| {
        command.env(name, value.as_ref());
    }
}

/// Runs a command that must end by itself and fail, and gives what it said.
fn refusal(command: &mut Command) -> String {
    let begun = Instant::now();
    let output = process::output(command);
    let said = text(&output.stderr);
    assert!(!output.status.success(), "accepted: {said}");
    assert!(begun.elapsed() < Duration::from_secs(60), "it waited: {said}");
    said
}

fn place(installation: &Installation) -> PathBuf {
    installation.data().parent().unwrap().to_owned()
}

#[test]
fn nothing_of_the_working_directory_is_read_unless_it_is_named() {
    let installation = Installation::new();
    let module = place(&installation).join("evil.so");
    fs::write(&module, "").unwrap();
    fs::write(
        place(&installation).join("avs-kms.toml"),
        format!("[pkcs11]\nmodule = \"{}\"\n[log]\nlevel = \"nonsense!\"\n", module.display()),
    )
    .unwrap();
    let service = installation.serve();
    assert!(service.start.contains("avs-kms.toml in the working directory is not read"), "{}", service.start);
    assert_eq!(service.stop(), Some(0));
    // Nor a data directory of the working directory.
    let mut command = installation.command(&["health"]);
    let said = refusal(command.env_remove("AVS_KMS__DATA__DIRECTORY"));
    assert!(said.contains("/var/lib/avs-kms"), "{said}");
}

#[test]
fn a_configuration_that_others_can_change_is_refused_with_owner_mode_and_cure() {
    let installation = Installation::new();
    let directory = place(&installation).join("etc");
    fs::create_dir(&directory).unwrap();
    let file = directory.join("avs-kms.toml");
    fs::write(&file, "[log]\nlevel = \"info\"\n").unwrap();
    let named = ["--config", file.to_str().unwrap()];
    let try_it = || {
        let mut command = installation.command(&named);
        refusal(command.arg("serve"))
    };
    for bits in [0o666, 0o664, 0o602] {
        mode(&file, bits);
        let said = try_it();
        assert!(said.contains(&format!("{bits:04o}")) && said.contains("chmod g"), "{said}");
    }
    mode(&file, 0o644);
    mode(&directory, 0o777);
    let said = try_it();
    assert!(said.contains(&format!("chmod go-w {}", directory.display())), "{said}");
    // With the sticky bit it is like /tmp: our file in it stays ours.
    mode(&directory, 0o1777);
    assert_eq!(installation.serve_with(set("AVS_KMS_CONFIG", &file)).stop(), Some(0));
    mode(&directory, 0o755);
    let waiting = pipe(&directory.join("pipe"));
    let said = refusal(installation.command(&["serve"]).env("AVS_KMS_CONFIG", waiting));
    assert!(said.contains("not a regular file"), "{said}");
    if !can_give_away() {
        return;
    }
    for path in [&file, &directory] {
        chown(path, OTHER_USER, None).unwrap();
        let said = try_it();
        assert!(said.contains("user 4242") && said.contains("chown root"), "{said}");
        chown(path, Some(0), None).unwrap();
    }
    let link = place(&installation).join("link.toml");
    symlink(&file, &link).unwrap();
    std::os::unix::fs::lchown(&link, OTHER_USER, None).unwrap();
    let said = refusal(installation.command(&["serve"]).env("AVS_KMS_CONFIG", &link));
    assert!(said.contains("link.toml") && said.contains("4242"), "{said}");
}

#[test]
fn data_directory_audit_directory_and_module_belong_to_no_other_user() {
    let installation = Installation::new();
    let audit = installation.data().join("audit");
    let tokens = installation.data().join("token/tokens");
    let data = installation.data();
    for (path, bits) in [(data.clone(), 0o777), (data, 0o1777), (audit.clone(), 0o777), (tokens, 0o777)] {
        let before = fs::metadata(&path).unwrap().permissions().mode();
        mode(&path, bits);
        for command in ["serve", "doctor"] {
            if path == audit && command == "doctor" {
                continue; // it does not use the log
            }
            let said = refusal(&mut installation.command(&[command]));
            assert!(said.contains(&format!("chmod go-w {}", path.display())), "{command}: {said}");
        }
        mode(&path, before);
    }
    // A directory above the data directory, from which another user could exchange it.
    mode(&place(&installation), 0o777);
    let said = refusal(&mut installation.command(&["serve"]));
    assert!(said.contains(&format!("chmod go-w {}", place(&installation).display())), "{said}");
    mode(&place(&installation), 0o700);

    let elsewhere = place(&installation).join("lib");
    fs::create_dir(&elsewhere).unwrap();
    let module = elsewhere.join("libsofthsm2.so");
    fs::copy(MODULE, &module).unwrap();
    let with_module = set("AVS_KMS__PKCS11__MODULE", &module);
    assert_eq!(installation.serve_with(&with_module).stop(), Some(0));
    for (path, bits) in [(&module, 0o666), (&elsewhere, 0o777)] {
        mode(path, bits);
        for command in ["serve", "doctor"] {
            let mut command = installation.command(&[command]);
            with_module(&mut command);
            let said = refusal(&mut command);
            assert!(said.contains(&format!("chmod go-w {}", path.display())), "{said}");
        }
        mode(path, 0o755);
    }
    if can_give_away() {
        chown(&module, OTHER_USER, None).unwrap();
        let mut command = installation.command(&["serve"]);
        with_module(&mut command);
        let said = refusal(&mut command);
        assert!(said.contains("user 4242"), "{said}");
    }
    assert_eq!(installation.serve().stop(), Some(0));
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_refused_at_once() {
    let installation = Installation::new();
    let waiting = pipe(&place(&installation).join("pipe"));
    let secret = place(&installation).join("secret");
    fs::write(&secret, "0123456789abcdef0123456789abcdef").unwrap();
    mode(&secret, 0o600);
    let waiting = waiting.to_str().unwrap();
    let hook = ("AVS_KMS__EVENTS__WEBHOOK_URLS", "http://127.0.0.1:9/hook");
    for settings in [
        vec![("AVS_KMS__PKCS11__PIN_FILE", waiting)],
        vec![hook, ("AVS_KMS__EVENTS__WEBHOOK_SECRET_FILE", waiting)],
        vec![("AVS_KMS__TLS__CERTIFICATE", waiting), ("AVS_KMS__TLS__KEY", secret.to_str().unwrap())],
        vec![("AVS_KMS__PKCS11__MODULE", waiting)],
    ] {
        let said = refusal(installation.command(&["serve"]).envs(settings.iter().copied()));
        assert!(said.contains("not a regular file"), "{settings:?}: {said}");
    }
    mode(&secret, 0o640);
    let settings = [hook, ("AVS_KMS__EVENTS__WEBHOOK_SECRET_FILE", secret.to_str().unwrap())];
    let said = refusal(installation.command(&["serve"]).envs(settings));
    assert!(said.contains("0640") && said.contains("chmod 0600"), "{said}");
    let login = ["login", "--url", "http://127.0.0.1:9", "--private-key-file", waiting];
    let said = refusal(&mut installation.command(&login));
    assert!(said.contains("not a regular file"), "{said}");
}

#[test]
fn a_pin_in_the_volume_of_a_pod_is_read_through_its_links() {
    let installation = Installation::new();
    let volume = place(&installation).join("secret");
    fs::create_dir_all(volume.join("..2026_11_25")).unwrap();
    fs::rename(installation.data().join("pin"), volume.join("..2026_11_25/pin")).unwrap();
    symlink("..2026_11_25", volume.join("..data")).unwrap();
    symlink("..data/pin", volume.join("pin")).unwrap();
    mode(&volume, 0o1777); // as the kubelet makes it
    let service = installation.serve_with(set("AVS_KMS__PKCS11__PIN_FILE", volume.join("pin")));
    assert_eq!(service.stop(), Some(0));
    mode(&volume.join("..2026_11_25"), 0o777);
    let said = refusal(installation.command(&["serve"]).env("AVS_KMS__PKCS11__PIN_FILE", volume.join("pin")));
    assert!(said.contains("..2026_11_25") && said.contains("chmod go-w"), "{said}");
}

#[test]
fn a_link_that_waits_for_a_backup_or_a_checkpoint_leads_nowhere() {
    let installation = Installation::new();
    let place = place(&installation);
    let archive = place.join("kms.tar.zst");
    let victim = place.join("victim");
    fs::write(&victim, "untouched").unwrap();
    for name in ["kms.tar.zst.part", "kms.tar.zst.new", "kms.tar.store", "kms.store"] {
        symlink(&victim, place.join(name)).unwrap();
    }
    installation.must(&["backup", archive.to_str().unwrap()]);
    assert_eq!(fs::metadata(&archive).unwrap().permissions().mode() & 0o7777, 0o600);
    fs::remove_file(&archive).unwrap();
    symlink(place.join("dangling"), &archive).unwrap();
    let said = refusal(&mut installation.command(&["backup", archive.to_str().unwrap()]));
    assert!(said.contains("exist"), "{said}");
    assert!(!place.join("dangling").exists());

    // A name of earlier versions, and the file itself.
    let copies = place.join("copies");
    fs::create_dir(&copies).unwrap();
    let store = installation.data().join("store.sqlite");
    symlink(&store, copies.join("checkpoint.new")).unwrap();
    symlink(&victim, copies.join("checkpoint.txt")).unwrap();
    let before = fs::read(&store).unwrap();
    let service =
        installation.serve_with(set("AVS_KMS__AUDIT__CHECKPOINT_FILE", copies.join("checkpoint.txt")));
    assert_eq!(service.stop(), Some(0));
    assert!(fs::read_to_string(copies.join("checkpoint.txt")).unwrap().contains("avs-kms"));
    assert!(copies.join("checkpoint.txt").symlink_metadata().unwrap().is_file());
    assert!(fs::read(&store).unwrap().starts_with(&before[..16]), "the store was overwritten");

    // The copy as JSON lines is never written through a link.
    symlink(&victim, copies.join("log.jsonl")).unwrap();
    let service = installation.serve_with(set("AVS_KMS__AUDIT__JSONL_FILE", copies.join("log.jsonl")));
    service.stop();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    say("every link leads nowhere");
}

#[test]
fn an_archive_that_names_more_than_fits_is_refused_before_it_is_unpacked() {
    let installation = Installation::empty();
    let archive = place(&installation).join("bomb.tar.zst");
    let entry = |name: &str, kind: tar::EntryType, size: u64| {
        let mut header = tar::Header::new_gnu();
        header.set_path(name).unwrap();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o600);
        header.set_cksum();
        header
    };
    let regular = tar::EntryType::Regular;
    for (header, expected) in [
        (entry("audit/seg-1.log", regular, 5 << 30), "too large"),
        (entry("store.sqlite", regular, u64::MAX >> 2), "too large"),
        (entry("token/tokens/a", regular, 2 << 20), "too large"),
        (entry("././@LongLink", tar::EntryType::GNULongName, 60 << 30), "unexpected entry"),
        (entry("audit/x", tar::EntryType::XHeader, 60 << 30), "unexpected entry"),
        (entry("audit/x", tar::EntryType::GNUSparse, 1), "unexpected entry"),
    ] {
        let mut encoder = zstd::Encoder::new(fs::File::create(&archive).unwrap(), 1).unwrap();
        encoder.write_all(header.as_bytes()).unwrap();
        // Zeros that would fill a disk or memory are 30 KB per GiB here; 64 MiB are enough to see one that is read.
        std::io::copy(&mut std::io::Read::take(std::io::repeat(0), 64 << 20), &mut encoder).unwrap();
        encoder.finish().unwrap();
        let said = refusal(&mut installation.command(&["restore", archive.to_str().unwrap()]));
        assert!(said.contains(expected), "{said}");
        let left: Vec<_> =
            fs::read_dir(place(&installation)).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(left, ["bomb.tar.zst"], "{expected}");
    }
}

/// An intruder with the service's files, and an administrator who runs the commands meanwhile.
#[test]
fn a_pipe_or_a_link_among_the_files_of_the_service_is_neither_waited_for_nor_followed() {
    let installation = Installation::new();
    let place = place(&installation);
    let (data, audit) = (installation.data(), installation.data().join("audit"));
    let backup = |name: &str| {
        let archive = place.join(name);
        installation.command(&["--json", "backup", archive.to_str().unwrap()])
    };
    // The PIN under a name that a backup takes.
    symlink(data.join("pin"), audit.join("pin.checkpoint")).unwrap();
    pipe(&audit.join("pipe.checkpoint"));
    let written = process::output(&mut backup("linked.tar.zst"));
    assert!(written.status.success(), "{}", text(&written.stderr));
    let listed = text(&written.stdout);
    assert!(listed.contains("audit/checkpoint") && !listed.contains("pin.checkpoint"), "{listed}");
    assert!(!listed.contains("pipe.checkpoint"), "{listed}");

    // A directory that leads to the PIN.
    let copies = data.join("token/backup");
    fs::rename(&copies, place.join("copies")).unwrap();
    symlink(&data, &copies).unwrap();
    let said = refusal(&mut backup("led.tar.zst"));
    assert!(said.contains("token/backup"), "{said}");
    fs::remove_file(&copies).unwrap();
    fs::rename(place.join("copies"), &copies).unwrap();

    let verify = || installation.command(&["audit", "verify"]);
    let exchange = |path: &Path, mut commands: Vec<Command>| {
        let aside = place.join("aside");
        fs::rename(path, &aside).unwrap();
        pipe(path);
        for command in &mut commands {
            let output = process::output(command);
            let said = text(&output.stderr);
            assert!(!output.status.success() && said.contains("regular file"), "{command:?}: {said}");
        }
        fs::remove_file(path).unwrap();
        fs::rename(aside, path).unwrap();
    };
    exchange(&audit.join("checkpoint"), vec![verify()]);
    let tail = installation.command(&["audit", "tail"]);
    exchange(&audit.join("seg-00000000000000000000.log"), vec![verify(), tail, backup("segment.tar.zst")]);
    exchange(&data.join("store.sqlite"), vec![backup("store.tar.zst")]);
    assert_eq!(installation.serve().stop(), Some(0));

    let into = place.join("into");
    fs::create_dir(&into).unwrap();
    mode(&into, 0o700);
    pipe(&into.join("restore.json"));
    let archive = place.join("linked.tar.zst");
    let into = into.to_str().unwrap();
    let said =
        refusal(&mut installation.command(&["--data", into, "restore", "--yes", archive.to_str().unwrap()]));
    assert!(said.contains("restore.json"), "{said}");
}
