//! `kill -9` during start-up, login and creation: no key that was reported is ever lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test
#![allow(clippy::wildcard_enum_match_arm, clippy::print_stdout)] // the figures are printed

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use hsm::*;

#[path = "support/token.rs"]
mod support;
use support::*;

/// Reports every key that it makes, until it is killed.
fn victim(fixture: &Fixture) {
    let enclave = fixture.open();
    loop {
        let key = new_key(1);
        create(&enclave, key);
        println!("made {}", key.id);
        std::io::stdout().flush().unwrap();
    }
}

fn cycles() -> u64 {
    if std::env::var_os("AVS_KMS_LONG").is_some() { 400 } else { 30 }
}

/// Kills the victim after 0 to 150 ms, over and over; gives what it reported and how often the token was destroyed.
fn kill_over_and_over(name: &str, fixture: &Fixture) -> (BTreeSet<String>, usize) {
    let (mut reported, mut destroyed) = (BTreeSet::new(), 0);
    for cycle in 0..cycles() {
        let mut child = again(name, &fixture.directory)
            .env("HSM_VICTIM", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut lines = Vec::new();
        if cycle % 2 == 1 {
            // Every other time in the midst of creations, not of the start.
            for line in output.by_ref() {
                lines.push(line);
                if lines.last().is_some_and(|line| line.contains("made ")) {
                    break;
                }
            }
        }
        // Spread over start-up and creations, denser at the beginning.
        let step = cycle * 7919 % 97;
        std::thread::sleep(Duration::from_micros(20 * step * step));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.into_iter().chain(output) {
            reported.extend(line.split_once("made ").map(|(_, id)| id.to_owned()));
        }
        // What an operator does, or a unit file before each start.
        destroyed += restore_softhsm_token(&fixture.plan()).unwrap().len();
    }
    (reported, destroyed)
}

fn check(fixture: &Fixture, reported: &BTreeSet<String>) -> Findings {
    let enclave = fixture.open();
    let keys = enclave.keys();
    let found: BTreeSet<_> = keys.iter().map(|entry| entry.id.to_string()).collect();
    let lost: Vec<_> = reported.difference(&found).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    for entry in &keys {
        assert!(signs(&enclave, entry.id, &entry.public_key));
    }
    enclave.health().findings
}

#[test]
fn no_reported_key_is_lost_to_a_kill() {
    let name = "no_reported_key_is_lost_to_a_kill";
    isolated(name, |fixture| {
        if std::env::var_os("HSM_VICTIM").is_some() {
            return victim(&fixture);
        }
        fixture.initialised();
        let (reported, destroyed) = kill_over_and_over(name, &fixture);
        let findings = check(&fixture, &reported);
        let cycles = cycles();
        println!(
            "{cycles} kills, {} keys reported, 0 lost, token restored {destroyed} times, {findings:?}",
            reported.len()
        );
    });
}

#[test]
fn where_the_service_is_not_root_a_kill_cannot_even_destroy_the_token() {
    let name = "where_the_service_is_not_root_a_kill_cannot_even_destroy_the_token";
    isolated(name, |fixture| {
        if std::env::var_os("HSM_VICTIM").is_some() {
            return victim(&fixture);
        }
        if std::env::var_os("HSM_UNPRIVILEGED").is_none() && is_root() {
            // The same again as user 65534, in a directory of its own.
            std::os::unix::fs::chown(&fixture.directory, Some(65534), Some(65534)).unwrap();
            let command = again(name, &fixture.directory);
            let mut unprivileged = Command::new("setpriv");
            unprivileged.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
            unprivileged.arg(command.get_program()).args(command.get_args());
            unprivileged
                .envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))))
                .env("HSM_UNPRIVILEGED", "1");
            let output = unprivileged.output().unwrap();
            print!("{}", text(&output));
            assert!(output.status.success());
            return;
        }
        fixture.initialised();
        let (reported, destroyed) = kill_over_and_over(name, &fixture);
        check(&fixture, &reported);
        println!(
            "{} kills as user 65534, {} keys reported, 0 lost, token destroyed {destroyed} times",
            cycles(),
            reported.len()
        );
        assert_eq!(destroyed, 0);
    });
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}
