//! Moves of all keys: to another token, another scheme and another place, and from SoftHSM to NSS. The same keys sign
//! afterwards, the log follows the change of its key, and nothing that opens a key is left on the old side.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::{EOA, Installation, process, text};

/// The files of a token's objects, but the token itself. One that a kill cut while SoftHSM began to write it (an anchor) is
/// no object: the service finds none in it and leaves it alone.
pub(super) fn objects(data: &Path, label: &str) -> Vec<String> {
    let tokens = fs::read_dir(data.join("token/tokens")).unwrap().map(|entry| entry.unwrap().path());
    let of_label = |token: &PathBuf| {
        let object = fs::read(token.join("token.object")).unwrap();
        let padded = format!("{label:32}");
        object.windows(32).any(|window| window == padded.as_bytes())
    };
    let token = tokens.into_iter().find(of_label).unwrap_or_else(|| panic!("no token {label}"));
    let whole =
        fs::read_dir(token).unwrap().map(Result::unwrap).filter(|file| file.metadata().unwrap().len() > 300);
    let names = whole.map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".object") && name != "token.object").collect()
}

/// Key-encryption keys that records of the store name.
fn keks_in_store(data: &Path) -> Vec<String> {
    let store = Connection::open(data.join("store.sqlite")).unwrap();
    let sql = "SELECT DISTINCT hex(substr(value, 8, 16)) FROM wrapped_record";
    let mut statement = store.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// A configuration file beside the data directory.
pub(super) fn configuration(data: &Path, name: &str, content: &str) -> PathBuf {
    let path = data.with_file_name(name);
    fs::write(&path, content.replace("<data>", data.to_str().unwrap())).unwrap();
    path
}

/// Another SoftHSM token, in the directory of the first.
pub(super) const SECOND: &str = "[pkcs11]\nlabel = \"second\"\npin_file = \"<data>/pin-second\"\n";

fn with(installation: &Installation, configuration: Option<&Path>, arguments: &[&str]) -> Command {
    let mut command = installation.command(arguments);
    if let Some(file) = configuration {
        command.env("AVS_KMS_CONFIG", file);
    }
    command
}

fn run(installation: &Installation, configuration: Option<&Path>, arguments: &[&str]) -> Output {
    process::output(&mut with(installation, configuration, arguments))
}

fn must(installation: &Installation, configuration: Option<&Path>, arguments: &[&str]) -> String {
    let output = run(installation, configuration, arguments);
    assert!(output.status.success(), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn refused(installation: &Installation, configuration: Option<&Path>, arguments: &[&str]) -> String {
    let output = run(installation, configuration, arguments);
    assert!(!output.status.success(), "{arguments:?}: {}", text(&output.stdout));
    text(&output.stderr)
}

fn signatures(installation: &Installation, configuration: Option<&Path>, token: &str) -> Vec<Value> {
    let service = installation.serve_with(|command| {
        if let Some(file) = configuration {
            command.env("AVS_KMS_CONFIG", file);
        }
    });
    let signed = ["one", "two"].map(|name| {
        let body = json!({"eoa": EOA, "name": name, "digest": format!("0x{}", "07".repeat(32))});
        let answer = service.post("/v1/sign/digest", Some(token), &body);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["signature"].clone()
    });
    let key = service.get("/v1/audit/checkpoint", None).body["public_key"].clone();
    assert_eq!(service.stop(), Some(0));
    signed.into_iter().chain([key]).collect()
}

/// Two keys, versions in four states, and the public key of the log in a file.
fn installation(location: &str) -> (Installation, String, Vec<Value>) {
    let installation = Installation::empty();
    let mut init = installation.command(&["init"]);
    let made = process::output(init.env("AVS_KMS__KEYS__LOCATION", location));
    assert!(made.status.success(), "{}", text(&made.stderr));
    for arguments in [
        &["keys", "create", "--name", "one"][..],
        &["keys", "create", "--name", "two"],
        &["keys", "rotate", "--name", "two"],
        &["keys", "create", "--name", "three"],
        &["keys", "disable", "--name", "three"],
        &["keys", "rotate", "--name", "one"],
        &["keys", "destroy", "--yes", "--name", "one", "--version", "2"],
    ] {
        installation.must(&[arguments, &["--eoa", EOA]].concat());
    }
    let token = installation.token(EOA);
    let before = signatures(&installation, None, &token);
    let key = installation.data().with_file_name("log.pub");
    fs::write(key, before[2].as_str().unwrap()).unwrap();
    (installation, token, before)
}

fn listed(installation: &Installation, configuration: Option<&Path>) -> String {
    must(installation, configuration, &["--json", "keys", "list"])
}

/// Moves, and compares what was before with what is afterwards.
fn walk(location: &str, to: &str, expected: &Value) -> (Installation, PathBuf) {
    let (installation, token, before) = installation(location);
    let data = installation.data();
    let new = configuration(&data, "new.toml", to);
    let rewrap = ["--json", "rewrap", "--to-config", new.to_str().unwrap()];
    let keys = listed(&installation, None);

    let service = installation.serve();
    let said = refused(&installation, None, &rewrap);
    assert!(said.contains("is using the data directory") && said.contains("stop the service"), "{said}");
    assert_eq!(service.stop(), Some(0));

    let output = run(&installation, None, &rewrap);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("5 of 5 keys sealed"), "{}", text(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&said["moved"], &said["destroyed"]), (&json!(5), &json!(5)), "{said}");
    for (member, value) in expected.as_object().unwrap() {
        assert_eq!(&said["to"][member], value, "{said}");
    }

    assert_eq!(listed(&installation, Some(&new)), keys);
    let after = signatures(&installation, Some(&new), &token);
    assert_eq!(after[..2], before[..2], "the same keys sign");
    assert_ne!(after[2], before[2], "the log has another checkpoint key");
    let key = data.with_file_name("log.pub");
    let verified = installation.must(&["audit", "verify", "--public-key", key.to_str().unwrap()]);
    assert!(verified.contains("sound"), "{verified}");
    let records = installation.records_of("rewrap");
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(records[0]["input"]["fields"]["to_checkpoint_key"], after[2], "{records:?}");
    let keks = keks_in_store(&data);
    let in_store = said["to"]["location"] == "store";
    assert_eq!(keks.len(), usize::from(in_store), "records of the old side are left: {keks:?}");
    assert_eq!(objects(&data, "avs-kms"), [""; 0], "objects of the old side are left");

    let said = refused(&installation, None, &["serve"]);
    assert!(said.contains("--to-config"), "{said}");
    let again = must(&installation, None, &rewrap);
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!((&again["moved"], &again["destroyed"]), (&json!(0), &json!(0)));
    assert_eq!(signatures(&installation, Some(&new), &token), after);
    (installation, new)
}

#[test]
fn keys_move_from_the_token_to_the_store_of_another_token_and_back_again() {
    let to = format!("{SECOND}scheme = \"S6\"\n[keys]\nlocation = \"store\"\n");
    let expected = json!({"scheme": "S6", "location": "store", "token_label": "second"});
    let (installation, new) = walk("token", &to, &expected);
    // The old token is empty: it takes the keys again, under keys of its own that are new.
    let old = configuration(&installation.data(), "old.toml", "[pkcs11]\nlabel = \"avs-kms\"\n");
    let keys = listed(&installation, Some(&new));
    must(&installation, Some(&new), &["rewrap", "--to-config", old.to_str().unwrap()]);
    assert_eq!(listed(&installation, None), keys);
    assert_eq!(objects(&installation.data(), "second"), [""; 0]);
    let key = installation.data().with_file_name("log.pub");
    installation.must(&["audit", "verify", "--public-key", key.to_str().unwrap()]);
}

#[test]
fn keys_move_inside_the_store_to_another_token_and_scheme() {
    let to = format!("{SECOND}scheme = \"S5\"\n[keys]\nlocation = \"store\"\n");
    walk("store", &to, &json!({"scheme": "S5", "location": "store"}));
}

#[test]
fn keys_move_from_softhsm_to_nss() {
    let place = tempfile::tempdir().unwrap();
    let pin = place.path().join("pin");
    fs::write(&pin, "avs-kms test 1234").unwrap();
    fs::set_permissions(&pin, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let database = format!("sql:{}", place.path().display());
    let made = Command::new("certutil")
        .args(["-N", "-d", &database, "-f", pin.to_str().unwrap()])
        .stdout(Stdio::null())
        .status();
    assert!(made.is_ok_and(|made| made.success()), "certutil is needed: apt-get install --yes libnss3-tools");
    let to = format!(
        "[pkcs11]\nmodule = \"/usr/lib/x86_64-linux-gnu/libsoftokn3.so\"\nlabel = \"NSS Certificate DB\"\n\
         initialize_string = \"configdir='{database}' certPrefix='' keyPrefix='' secmod='secmod.db' flags=\"\n\
         pin_file = \"{}\"\n[sandbox]\nextra_paths = [\"{}\"]\n",
        pin.display(),
        place.path().display()
    );
    walk("token", &to, &json!({"scheme": "S1", "location": "store"}));
}

#[test]
fn what_does_not_fit_together_is_refused_by_name_and_changes_nothing() {
    let (installation, token, before) = installation("token");
    let data = installation.data();
    for (name, content, words) in [
        ("same", "[pkcs11]\nlabel = \"avs-kms\"\n", "one key-encryption key"),
        ("audit", &format!("{SECOND}[audit]\ndirectory = \"/elsewhere\"\n"), "audit.directory"),
        ("softhsm", &format!("{SECOND}softhsm_conf = \"/elsewhere/softhsm2.conf\"\n"), "pkcs11.softhsm_conf"),
        ("wrong", "[pkcs11]\nlable = \"x\"\n", "lable"),
    ] {
        let file = configuration(&data, &format!("{name}.toml"), content);
        let said = refused(&installation, None, &["rewrap", "--to-config", file.to_str().unwrap()]);
        assert!(said.contains(words), "{name}: {said}");
    }
    // A token of another installation.
    let other = configuration(&data, "other.toml", SECOND);
    let theirs = installation.data().with_file_name("theirs");
    let conf = data.join("token/softhsm2.conf");
    let mut init = with(&installation, Some(&other), &["init"]);
    init.env("AVS_KMS__DATA__DIRECTORY", &theirs).env("AVS_KMS__PKCS11__SOFTHSM_CONF", conf);
    let made = process::output(&mut init);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let said = refused(&installation, None, &["rewrap", "--to-config", other.to_str().unwrap()]);
    assert!(said.contains("belongs to the installation"), "{said}");
    assert_eq!(signatures(&installation, None, &token), before);
}
