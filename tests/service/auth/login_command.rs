//! `avs-kms login` and `avs-kms sign-request`, the whole round from a shell.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::wallet::Wallet;
use crate::support::{EOA, Installation, OTHER_EOA, Running, process, text};

fn url(service: &Running) -> String {
    format!("http://{}", service.address)
}

/// A file beside the data directory.
fn file(installation: &Installation, name: &str, content: &str, mode: u32) -> String {
    let path = installation.data().with_file_name(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn works(service: &Running, token: &str) {
    assert_eq!(service.get(&format!("/v1/keys/{EOA}"), Some(token)).status, 200, "{token}");
}

#[test]
fn a_key_from_a_file_or_a_keystore_logs_in_and_the_token_works() {
    let installation = Installation::new();
    let service = installation.serve();
    let url = url(&service);
    let key = file(&installation, "key", &format!("0x{}\n", Wallet::key_of(EOA)), 0o600);
    let vectors: Value = serde_json::from_str(include_str!("../../vectors/login.json")).unwrap();
    let keystore = file(&installation, "keystore.json", &vectors["keystore_scrypt"].to_string(), 0o644);
    let password = file(&installation, "password", "correct horse\n", 0o400);

    works(&service, &installation.must(&["login", "--url", &url, "--private-key-file", &key]));
    works(
        &service,
        &installation.must(&["login", "--url", &url, "--private-key-file", &key, "--typed-data"]),
    );
    let scopes = ["--scope", "keys:read", "--ttl", "5m", "--chain-id", "1"];
    let by_keystore = ["login", "--url", &url, "--keystore", &keystore, "--password-file", &password];
    works(&service, &installation.must(&[&by_keystore[..], &scopes].concat()));

    let out = installation.data().with_file_name("token");
    let said = installation.must(&[
        "login",
        "--url",
        &url,
        "--private-key-file",
        &key,
        "--out",
        out.to_str().unwrap(),
    ]);
    assert!(!said.contains("kms_"), "{said}");
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    works(&service, fs::read_to_string(&out).unwrap().trim());

    let mut child = installation
        .command(&["login", "--url", &url, "--keystore", &keystore])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"correct horse\n").unwrap();
    works(&service, text(&process::output_of(child).stdout).trim());
}

#[test]
fn a_wallet_of_ones_own_signs_what_is_shown() {
    let installation = Installation::new();
    let service = installation.serve();
    let shown = installation.data().with_file_name("to-sign");
    for typed in [false, true] {
        let _ = fs::remove_file(&shown);
        let url = url(&service);
        let mut arguments =
            vec!["login", "--url", &url, "--eoa", EOA, "--print-message", shown.to_str().unwrap()];
        arguments.extend(typed.then_some("--typed-data"));
        let mut child = installation
            .command(&arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut what = String::new();
        for _ in 0..2_000 {
            what = fs::read_to_string(&shown).unwrap_or_default();
            if !what.is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let wallet = Wallet::of(EOA);
        let signature =
            if typed { wallet.typed(&serde_json::from_str(&what).unwrap()) } else { wallet.personal(&what) };
        writeln!(child.stdin.take().unwrap(), "{signature}").unwrap();
        let output = process::output_of(child);
        let said = text(&output.stderr);
        assert!(output.status.success() && said.contains(&what), "{said}");
        works(&service, text(&output.stdout).trim());
    }
}

/// Runs a login that must fail, and gives what it said.
fn refused(installation: &Installation, arguments: &[&str]) -> String {
    let output: Output = installation.run(&[&["login"], arguments].concat());
    let said = text(&output.stderr);
    assert!(!output.status.success() && output.stdout.is_empty(), "{said}");
    assert!(!said.contains(Wallet::key_of(EOA)), "{said}");
    said
}

#[test]
fn what_should_not_be_signed_or_read_is_not() {
    let installation = Installation::new();
    let service = installation.serve();
    let url = url(&service);
    let key = file(&installation, "key", Wallet::key_of(EOA), 0o600);
    let by_key = ["--url", &url, "--private-key-file", &key];
    let with = |more: &[&str]| refused(&installation, &[&by_key[..], more].concat());
    let said = with(&["--audience", "https://kms.example"]);
    assert!(said.contains("nothing was signed") && said.contains("kms.example"), "{said}");
    assert!(with(&["--chain-id", "17000"]).contains("chain 1"));
    assert!(with(&["--eoa", OTHER_EOA]).contains(EOA));
    assert!(with(&["--ttl", "2h"]).contains("3600 seconds"));
    let open = file(&installation, "open", Wallet::key_of(EOA), 0o644);
    assert!(refused(&installation, &["--url", &url, "--private-key-file", &open]).contains("chmod 0600"));
    let no_key = file(&installation, "no-key", "hunter2", 0o600);
    let said = refused(&installation, &["--url", &url, "--private-key-file", &no_key]);
    assert!(said.contains("64 hex digits") && !said.contains("hunter2"), "{said}");
    let beyond = refused(&installation, &["--url", "http://192.0.2.1:8254", "--private-key-file", &key]);
    assert!(beyond.contains("https"), "{beyond}");
    service.stop();
    assert!(installation.records_of("auth.verify").is_empty(), "something was signed");
}

#[test]
fn the_curl_line_of_a_signed_request_works_once() {
    let installation = Installation::new();
    let service = installation.serve();
    let key = file(&installation, "key", Wallet::key_of(EOA), 0o600);
    let url = url(&service);
    let body = json!({"eoa": EOA, "name": "it-s"}).to_string();
    let id = installation.id();
    let own = ["sign-request", "--installation", &id, "--url", &url, "--private-key-file", &key];
    let sign = |rest: &[&str]| installation.must(&[&own, rest].concat());
    let line = sign(&["--body", &body, "/v1/keys"]);
    assert!(line.starts_with("curl ") && !line.contains(Wallet::key_of(EOA)), "{line}");
    let run = || -> Value {
        let output = process::output(Command::new("bash").args(["-euc", &line]));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{line}\n{}", text(&output.stderr)))
    };
    assert_eq!(run()["created"], true);
    assert_eq!(run()["code"], "unauthenticated");
    let path = format!("/v1/keys/{EOA}/it-s?limit=%37");
    let line = sign(&[&path]);
    let output = process::output(Command::new("bash").args(["-euc", &line]));
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["name"], "it-s", "{shown}");
}

#[test]
fn a_login_for_the_right_to_destroy_signs_the_scope_too() {
    let installation = Installation::new();
    let service = installation.serve();
    let key = file(&installation, "key", Wallet::key_of(EOA), 0o600);
    let url = url(&service);
    let arguments = ["--json", "login", "--url", &url, "--private-key-file", &key, "--scope", "keys:destroy"];
    let unnamed = text(&installation.run(&arguments).stderr);
    assert!(unnamed.contains("--installation") && unnamed.contains("nothing was signed"), "{unnamed}");
    let id = installation.id();
    let arguments = [arguments.as_slice(), &["--installation", &id]].concat();
    let answer: Value = serde_json::from_str(&installation.must(&arguments)).unwrap();
    assert_eq!(answer["scopes"], json!(["keys:destroy"]), "{answer}");
    service.stop();
    assert_eq!(installation.records_of("auth.request").len(), 1);
}

#[test]
fn what_was_signed_for_one_installation_is_worthless_at_another_with_the_same_url() {
    let (staging, production) = (Installation::new(), Installation::new());
    let url = "http://127.0.0.1:8254";
    let same_url = |command: &mut Command| {
        command.env("AVS_KMS__AUTH__PUBLIC_URL", url);
    };
    assert_ne!(staging.id(), production.id());
    let key = file(&staging, "key", Wallet::key_of(EOA), 0o600);
    for installation in [&staging, &production] {
        installation.must(&["keys", "create", "--eoa", EOA]);
        installation.must(&["keys", "rotate", "--eoa", EOA]);
    }
    let body = json!({"eoa": EOA, "version": 2, "after_days": 30}).to_string();
    let id = staging.id();
    let arguments =
        ["--json", "sign-request", "--installation", &id, "--url", url, "--private-key-file", &key];
    let signed = staging.must(&[arguments.as_slice(), &["--body", &body, "/v1/keys/destroy"]].concat());
    let signed: Value = serde_json::from_str(&signed).unwrap();
    let request = format!(
        "POST /v1/keys/destroy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        signed["authorization"].as_str().unwrap(),
        body.len()
    );
    let service = production.serve_with(same_url);
    let refused = service.send(request.as_bytes());
    assert_eq!(refused.code(), (401, "signature_mismatch"), "{refused:?}");
    let shown = service.post("/v1/auth/challenge", None, &json!({"eoa": EOA})).body;
    assert_eq!(shown["installation"], production.id());
    for form in [shown["message"].to_string(), shown["typed_data"]["message"]["installation"].to_string()] {
        assert!(form.contains(&production.id()), "{form}");
    }
    // The command signs no challenge of another installation than the configured one.
    let other = production.run(&[
        "login",
        "--url",
        &format!("http://{}", service.address),
        "--audience",
        url,
        "--installation",
        &id,
        "--private-key-file",
        &key,
    ]);
    assert!(text(&other.stderr).contains(&format!("is for installation {}", production.id())), "{other:?}");
    service.stop();
    let service = staging.serve_with(same_url);
    assert_eq!(service.send(request.as_bytes()).status, 200);
    let records = [staging.records(), production.records()];
    let named: Vec<_> = records.iter().map(|records| records[0]["installation"].clone()).collect();
    assert_eq!(named, [json!(staging.id()), json!(production.id())], "the log's first record");
}
