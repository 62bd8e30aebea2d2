//! The calls of the README work as printed, and every call of the contract has one.

use std::process::Command;

use serde_json::Value;

use crate::auth::request_signatures::authorization;
use crate::support::wallet::Wallet;
use crate::support::{Installation, Running, text};

/// The README's operator.
const OPERATOR: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

const README: &str = include_str!("../../../README.md");

fn blocks() -> impl Iterator<Item = &'static str> {
    README.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(block, _)| block)
}

fn calls() -> Vec<&'static str> {
    blocks().filter(|block| block.contains("curl ")).collect()
}

#[test]
fn every_curl_call_of_the_readme_answers_as_it_should() {
    let issue = blocks().find(|block| block.contains("token issue")).expect("no token is issued");
    let arguments = issue.split("avs-kms ").nth(1).and_then(|rest| rest.split(')').next()).unwrap();

    let installation = Installation::new();
    let service = installation.serve();
    let mut token = installation.must(&arguments.split_whitespace().collect::<Vec<_>>());
    let (mut challenge_id, mut signature) = (String::new(), String::new());
    for call in calls() {
        let signed = if call.contains("$SIGNED") { signature_of(&service, call) } else { String::new() };
        let output = Command::new("bash")
            .args(["-euc", call])
            .env("URL", format!("http://{}", service.address))
            .env("TOKEN", &token)
            .env("CHALLENGE_ID", &challenge_id)
            .env("SIGNATURE", &signature)
            .env("SIGNED", &signed)
            .output()
            .expect("bash and curl are needed: apt-get install --yes curl");
        let said = text(&output.stdout);
        let answer: Value =
            serde_json::from_str(&said).unwrap_or_else(|_| panic!("{call}\n{said}{}", text(&output.stderr)));
        assert!(answer.is_object() && answer.get("error").is_none(), "{call}\n{answer}");
        // What the reader does between two calls.
        if let (Some(id), Some(message)) = (answer["challenge_id"].as_str(), answer["message"].as_str()) {
            challenge_id = id.to_owned();
            signature = Wallet::of(OPERATOR).personal(message);
        }
        if call.contains("/v1/auth/revoke") {
            token = installation.must(&arguments.split_whitespace().collect::<Vec<_>>());
        }
    }
}

/// The header that the operator's wallet makes for this very call.
fn signature_of(service: &Running, call: &str) -> String {
    let path = call.split("$URL").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let (_, body) = call.trim_end().trim_end_matches('\'').split_once("-d '").unwrap();
    authorization(service, &Wallet::of(OPERATOR), OPERATOR, "POST", path, body)
}

#[test]
fn every_call_of_the_contract_is_shown() {
    let contract = include_str!("../../../docs/api.md");
    let mut promised = 0;
    for call in contract.split('`').skip(1).step_by(2) {
        // The page for browsers is no JSON.
        let Some((method @ ("GET" | "POST"), path)) = call.split_once(' ') else { continue };
        if path == "/docs" || !path.starts_with('/') {
            continue;
        }
        let shown = calls().into_iter().any(|shown| {
            let posts = shown.contains(" -d ") && !shown.contains(" -G ");
            posts == (method == "POST") && is_for(shown, path.split('?').next().unwrap())
        });
        assert!(shown, "the README has no curl call for {call}");
        promised += 1;
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
