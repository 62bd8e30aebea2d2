//! Where SoftHSM's tokens are: a data directory that was moved or copied, tokens in another owner's directory, and paths
//! that SoftHSM's configuration cannot name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::support::client::Answer;
use crate::support::{EOA, Installation, Running, process, text};

fn word(number: u8) -> String {
    format!("0x{number:064x}")
}

fn sign(service: &Running, token: &str) -> Answer {
    service.post("/v1/scalar_mul", Some(token), &json!({"eoa": EOA, "hash": {"x": word(1), "y": word(2)}}))
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

/// Names and lengths of every object file, sorted.
fn objects(tokens: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for token in fs::read_dir(tokens).unwrap() {
        for file in fs::read_dir(token.unwrap().path()).unwrap() {
            let file = file.unwrap();
            // SoftHSM rewrites the file of the token itself at each login.
            if file.file_name() != "generation" {
                found.push((file.path(), file.metadata().unwrap().len()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_copied_data_directory_uses_its_own_token_and_a_moved_one_works() {
    let original = Installation::new();
    let token = original.token(EOA);
    let service = original.serve();
    service.create(&token, EOA, "default");
    assert_eq!(service.stop(), Some(0));
    let before = objects(&original.data().join("token/tokens"));

    let copied = Installation::empty();
    copy(&original.data(), &copied.data());
    let conf = copied.data().join("token/softhsm2.conf");
    assert!(
        fs::read_to_string(&conf).unwrap().contains(original.data().to_str().unwrap()),
        "as it was copied"
    );
    let service = copied.serve();
    service.create(&token, EOA, "second");
    assert_eq!(service.stop(), Some(0));
    assert_eq!(
        objects(&original.data().join("token/tokens")),
        before,
        "the token of the original was not used"
    );
    assert!(fs::read_to_string(&conf).unwrap().contains(copied.data().to_str().unwrap()));

    // The original works as before; then it is moved.
    assert_eq!(original.serve().stop(), Some(0));
    let moved = Installation::empty();
    fs::rename(original.data(), moved.data()).unwrap();
    let service = moved.serve();
    let signed = sign(&service, &token);
    assert_eq!(signed.status, 200, "{signed:?}");
    assert_eq!(service.stop(), Some(0));
    moved.must(&["doctor"]);
}

#[test]
fn tokens_in_the_directory_of_another_owner_work_by_settings() {
    let installation = Installation::empty();
    let root = installation.data().with_file_name("system");
    let (etc, lib) = (root.join("etc"), root.join("lib/tokens"));
    for directory in [&etc, &lib] {
        fs::create_dir_all(directory).unwrap();
    }
    let conf = etc.join("softhsm2.conf");
    let said = format!(
        "# SoftHSM v2 configuration file\n\ndirectories.tokendir = {}/\nobjectstore.backend = file\n",
        lib.display()
    );
    fs::write(&conf, &said).unwrap();
    let label = |name: &str| {
        let mut tool = Command::new("softhsm2-util");
        tool.args(["--init-token", "--free", "--label", name, "--so-pin", "12345678", "--pin", "87654321"]);
        let output = process::output(tool.env("SOFTHSM2_CONF", &conf));
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    label("of-another-program");
    label("avs-kms");
    let pin = root.join("pin");
    fs::write(&pin, "87654321\n").unwrap();
    fs::set_permissions(&pin, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let with = |command: &mut Command| {
        command.env("AVS_KMS__PKCS11__SOFTHSM_CONF", &conf).env("AVS_KMS__PKCS11__PIN_FILE", &pin);
    };
    let run = |arguments: &[&str]| {
        let mut command = installation.command(arguments);
        with(&mut command);
        process::output(&mut command)
    };
    let must = |arguments: &[&str]| {
        let output = run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        (text(&output.stdout).trim().to_owned(), text(&output.stderr))
    };
    must(&["init"]);
    must(&["doctor"]);
    let (token, _) = must(&[
        "access-token",
        "issue",
        "--eoa",
        EOA,
        "--ttl",
        "1h",
        "--scope",
        "keys:create",
        "--scope",
        "sign:point",
    ]);
    for _ in 0..2 {
        let service = installation.serve_with(with);
        service.create(&token, EOA, "default");
        assert_eq!(sign(&service, &token).status, 200);
        assert_eq!(service.stop(), Some(0));
    }
    assert_eq!(fs::read_to_string(&conf).unwrap(), said, "another owner's file stays as it was");
    assert!(!lib.with_file_name("backup").exists() && installation.data().join("backup").is_dir());
    let archive = root.join("kms.tar.zst");
    let (_, said) = must(&["backup", archive.to_str().unwrap()]);
    assert!(said.contains(lib.to_str().unwrap()) && said.contains("save it, too"), "{said}");
    // A token of another program that this one cannot read is no business of ours.
    fs::create_dir(lib.join("00000000-0000-0000-0000-000000000000")).unwrap();
    must(&["doctor"]);
}

#[test]
fn a_path_that_softhsms_configuration_cannot_name_is_refused_before_anything_is_made() {
    let installation = Installation::empty();
    for name in ["a#b", "a=b"] {
        let data = installation.data().with_file_name(name);
        let mut command = installation.command(&["init"]);
        let output = process::output(command.env("AVS_KMS__DATA__DIRECTORY", &data));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("# and =") && said.contains("move the directory"), "{said}");
        assert!(!data.join("token").exists(), "{said}");
    }
}
