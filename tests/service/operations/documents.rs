//! The commands of README and of the book run as they are, and HTTP reference shows every call of the contract.
//!
//! A block that begins with `sh` runs. One that begins with `sh needs=hsm` or `sh needs=chain` does not, and neither
//! does `text`: output, and commands that build or start something.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::auth::request_signatures::authorization;
use crate::support::wallet::Wallet;
use crate::support::{Installation, Running, process, text};

/// The operator of every page.
const OPERATOR: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

/// The page that shows each call once. Between two of its calls the reader signs with a wallet.
const HTTP_REFERENCE: &str = "docs/reference/http-api.md";

/// Gives the program of this test the name that the pages use, and makes a refusal end the script.
const PREAMBLE: &str = r#"
avs-kms() { "$PROGRAM" "$@"; }
curl() { command curl --fail-with-body "$@"; }
"#;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README and the pages of the book, relative to the root.
fn pages() -> Vec<String> {
    let (mut pages, mut folders) = (vec!["README.md".to_owned()], vec![root().join("docs")]);
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    pages.sort();
    pages
}

/// The blocks of a page that run, without the indentation of a list.
fn blocks(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(page)).unwrap();
    let (mut blocks, mut open) = (Vec::new(), None::<Vec<&str>>);
    for line in text.lines() {
        match (&mut open, line.trim()) {
            (None, "```sh") => open = Some(Vec::new()),
            (Some(lines), "```") => {
                blocks.push(lines.join("\n"));
                open = None;
            }
            (Some(lines), _) => lines.push(line),
            (None, _) => {}
        }
    }
    blocks
}

#[test]
fn every_page_runs_as_it_is_from_its_first_command_to_its_last() {
    let mut ran = 0;
    for page in pages().iter().filter(|page| *page != HTTP_REFERENCE) {
        let blocks = blocks(page);
        if blocks.is_empty() {
            continue;
        }
        let installation = Installation::new();
        let service = installation.serve();
        let script = blocks
            .join("\n")
            .replace("target/release/avs-kms --data ./var", "avs-kms")
            .replace("http://127.0.0.1:8254", &format!("http://{}", service.address));
        let elsewhere = tempfile::tempdir().unwrap();
        let output = process::output(
            Command::new("bash")
                .args(["-euxo", "pipefail", "-c", &format!("{PREAMBLE}{script}")])
                .current_dir(&elsewhere)
                .env("PROGRAM", absolute_program())
                .env("AVS_KMS__DATA__DIRECTORY", installation.data()),
        );
        assert!(output.status.success(), "{page}\n{}\n{}", text(&output.stdout), text(&output.stderr));
        ran += 1;
    }
    assert!(ran >= 6, "the pages were not understood: only {ran} have commands");
}

fn absolute_program() -> PathBuf {
    crate::support::program().canonicalize().unwrap()
}

fn calls() -> Vec<String> {
    blocks(HTTP_REFERENCE).into_iter().filter(|block| block.contains("curl ")).collect()
}

#[test]
fn every_curl_call_of_the_reference_is_answered_without_an_error() {
    let issue = blocks(HTTP_REFERENCE).into_iter().find(|block| block.contains("access-token issue"));
    let issue = issue.expect("no access token is issued");
    let arguments = issue.split("avs-kms ").nth(1).and_then(|rest| rest.split(')').next()).unwrap();
    let arguments: Vec<_> = arguments.split_whitespace().collect();

    let installation = Installation::new();
    let service = installation.serve();
    let mut token = installation.must(&arguments);
    let (mut challenge_id, mut signature) = (String::new(), String::new());
    for call in calls() {
        let signed = if call.contains("$SIGNED") { signature_of(&service, &call) } else { String::new() };
        let output = process::output(
            Command::new("bash")
                .args(["-euc", &call])
                .env("URL", format!("http://{}", service.address))
                .env("TOKEN", &token)
                .env("CHALLENGE_ID", &challenge_id)
                .env("SIGNATURE", &signature)
                .env("SIGNED", &signed),
        );
        let printed = text(&output.stdout);
        let answer: Value = serde_json::from_str(&printed)
            .unwrap_or_else(|_| panic!("{call}\n{printed}{}", text(&output.stderr)));
        assert!(answer.is_object() && answer.get("error").is_none(), "{call}\n{answer}");
        // What the reader does between two calls.
        if let (Some(id), Some(message)) = (answer["challenge_id"].as_str(), answer["message"].as_str()) {
            challenge_id = id.to_owned();
            signature = Wallet::of(OPERATOR).personal(message);
        }
        if call.contains("/v1/auth/revoke") {
            token = installation.must(&arguments);
        }
    }
}

/// The header that the operator's wallet makes for this call.
fn signature_of(service: &Running, call: &str) -> String {
    let path = call.split("$URL").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let (_, body) = call.trim_end().trim_end_matches('\'').split_once("-d '").unwrap();
    authorization(service, &Wallet::of(OPERATOR), OPERATOR, "POST", path, body)
}

#[test]
fn the_reference_shows_every_call_of_the_contract() {
    let installation = Installation::new();
    let service = installation.serve();
    let contract = service.get("/openapi.json", None).body;
    let shown = calls();
    let mut promised = 0;
    for (path, item) in contract["paths"].as_object().unwrap() {
        for method in
            item.as_object().unwrap().keys().filter(|method| ["get", "post"].contains(&method.as_str()))
        {
            // The page for browsers is no JSON.
            if path == "/docs" {
                continue;
            }
            let found = shown.iter().any(|call| {
                let posts = call.contains(" -d ") && !call.contains(" -G ");
                posts == (method == "post") && is_for(call, path)
            });
            assert!(found, "{HTTP_REFERENCE} has no curl call for {method} {path}");
            promised += 1;
        }
    }
    assert!(promised >= 15, "the contract was not understood: {promised} calls");
}

/// Whether a call goes to this path; a `{part}` of the path is any text.
fn is_for(call: &str, path: &str) -> bool {
    let Some((_, url)) = call.split_once("\"$URL") else { return false };
    let url: Vec<_> = url.split(['"', '?']).next().unwrap_or_default().split('/').collect();
    let path: Vec<_> = path.split('/').collect();
    url.len() == path.len() && url.iter().zip(&path).all(|(url, path)| path.starts_with('{') || url == path)
}
