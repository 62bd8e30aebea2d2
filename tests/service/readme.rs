//! The README's calls work as they stand.

use std::process::Command;

use serde_json::Value;

use crate::support::{Installation, text};

#[test]
fn every_curl_call_of_the_readme_answers_as_it_should() {
    let readme = include_str!("../../README.md");
    let blocks: Vec<_> = readme
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```"))
        .map(|(block, _)| block)
        .collect();
    let issue = blocks.iter().find(|block| block.contains("token issue")).expect("no token is issued");
    let arguments = issue.split("avs-kms ").nth(1).and_then(|rest| rest.split(')').next()).unwrap();

    let installation = Installation::new();
    let service = installation.serve();
    let token = installation.must(&arguments.split_whitespace().collect::<Vec<_>>());
    let calls: Vec<_> = blocks.iter().filter(|block| block.contains("curl ")).collect();
    assert!(calls.len() >= 7, "only {} calls are shown", calls.len());
    for call in calls {
        let output = Command::new("bash")
            .args(["-euc", call])
            .env("URL", format!("http://{}", service.address))
            .env("TOKEN", &token)
            .output()
            .expect("bash and curl are needed: apt-get install --yes curl");
        let said = text(&output.stdout);
        let answer: Value =
            serde_json::from_str(&said).unwrap_or_else(|_| panic!("{call}\n{said}{}", text(&output.stderr)));
        assert!(answer.is_object() && answer.get("error").is_none(), "{call}\n{answer}");
    }
}
