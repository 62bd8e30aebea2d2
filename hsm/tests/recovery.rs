//! A token in trouble: the answer while it is away, and the way back without a restart.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test
#![allow(clippy::wildcard_enum_match_arm, clippy::print_stdout)] // what was not expected is printed

use std::fs::File;
use std::process::Command;
use std::time::{Duration, Instant};

use hsm::*;

#[path = "support/token.rs"]
mod support;
use support::*;

fn quick(fixture: &Fixture) -> Settings {
    Settings { canary_interval: Duration::from_millis(50), ..fixture.settings() }
}

fn sign(enclave: &Enclave, id: KeyId) -> Result<G1Point, EnclaveError> {
    run(enclave.scalar_mul(id, G1Point::generator(), soon()))
}

/// Waits until `done`, for ten seconds at most.
fn until(what: &str, mut done: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(10), "{what} did not come about");
        std::thread::sleep(Duration::from_millis(5));
    }
    begun.elapsed()
}

#[test]
fn a_token_directory_that_goes_away_and_comes_back_needs_no_restart() {
    isolated("a_token_directory_that_goes_away_and_comes_back_needs_no_restart", |fixture| {
        fixture.initialised();
        let enclave = Enclave::open(quick(&fixture)).unwrap();
        let key = new_key(1);
        let public = create(&enclave, key);
        let (tokens, away) = (fixture.directory.join("tokens"), fixture.directory.join("away"));
        for _ in 0..3 {
            std::fs::rename(&tokens, &away).unwrap();
            until("the canary's alarm", || enclave.health().token != TokenState::Ready);
            let asked = Instant::now();
            let answer = sign(&enclave, key.id);
            assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
            match answer {
                Err(EnclaveError::TokenUnavailable { retry_after, .. }) => {
                    assert!(retry_after <= Duration::from_secs(31));
                }
                other => panic!("{other:?}"),
            }
            assert!(!enclave.health().canary.unwrap().passed);
            std::fs::rename(&away, &tokens).unwrap();
            let took = until("the recovery", || enclave.health().token == TokenState::Ready);
            println!("back after {took:?}");
            assert_eq!(sign(&enclave, key.id).unwrap(), public.g1);
            // Creating works again as well, and finds nothing lost.
            create(&enclave, new_key(1));
        }
        assert!(enclave.health().recoveries >= 3);
        enclave.close();
        assert_eq!(fixture.open().keys().len(), 4);
    });
}

#[test]
fn a_creation_while_the_directory_is_away_is_refused_and_makes_nothing() {
    isolated("a_creation_while_the_directory_is_away_is_refused_and_makes_nothing", |fixture| {
        fixture.initialised();
        // The timer does not notice: the creation itself must.
        let enclave = fixture.open();
        let key = new_key(1);
        let (tokens, away) = (fixture.directory.join("tokens"), fixture.directory.join("away"));
        std::fs::rename(&tokens, &away).unwrap();
        let answer = run(enclave.create(key, soon()));
        assert!(matches!(answer, Err(EnclaveError::TokenUnavailable { .. })), "{answer:?}");
        std::fs::rename(&away, &tokens).unwrap();
        until("the recovery", || enclave.health().token == TokenState::Ready);
        assert!(matches!(sign(&enclave, key.id), Err(EnclaveError::UnknownKey)));
        let public = create(&enclave, key);
        assert_eq!(sign(&enclave, key.id).unwrap(), public.g1);
    });
}

#[test]
fn another_token_of_the_same_label_is_not_taken_for_the_one_that_went_away() {
    isolated("another_token_of_the_same_label_is_not_taken_for_the_one_that_went_away", |fixture| {
        fixture.initialised();
        let enclave = Enclave::open(quick(&fixture)).unwrap();
        let key = new_key(1);
        create(&enclave, key);
        // Another token of the same label and serial, with another PIN, takes the place of the first.
        let (tokens, away) = (fixture.directory.join("tokens"), fixture.directory.join("away"));
        std::fs::rename(&tokens, &away).unwrap();
        until("the canary's alarm", || enclave.health().token != TokenState::Ready);
        let other = fixture.directory.join("other");
        let name = fixture.directory.join("away").read_dir().unwrap().next().unwrap().unwrap().file_name();
        let output = Command::new("softhsm2-util")
            .env("SOFTHSM2_CONF", make_other(&other))
            .args(["--init-token", "--free", "--label", LABEL, "--so-pin", "12345678", "--pin", "87654321"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let made = other.join("tokens").read_dir().unwrap().next().unwrap().unwrap().path();
        // Its serial is in token.object; what is compared is that, so the enclave must not take it for its own.
        std::fs::rename(&made, other.join("tokens").join(&name)).unwrap();
        std::fs::rename(other.join("tokens"), &tokens).unwrap();
        std::thread::sleep(Duration::from_millis(500));
        assert!(matches!(enclave.health().token, TokenState::Recovering { .. }), "{:?}", enclave.health());
        std::fs::remove_dir_all(&tokens).unwrap();
        std::fs::rename(&away, &tokens).unwrap();
        until("the recovery", || enclave.health().token == TokenState::Ready);
    });
}

fn make_other(directory: &std::path::Path) -> std::path::PathBuf {
    let tokens = directory.join("tokens");
    std::fs::create_dir_all(&tokens).unwrap();
    let path = directory.join("softhsm2.conf");
    std::fs::write(
        &path,
        format!("directories.tokendir = {}\nobjectstore.backend = file\n", tokens.display()),
    )
    .unwrap();
    path
}

#[test]
fn exhausted_descriptors_do_not_stop_signing_and_the_token_is_back_afterwards() {
    let name = "exhausted_descriptors_do_not_stop_signing_and_the_token_is_back_afterwards";
    isolated(name, |fixture| {
        if std::env::var_os("HSM_FEW").is_none() {
            let command = again(name, &fixture.directory);
            let mut few = Command::new("prlimit");
            few.arg("--nofile=128:128").arg(command.get_program()).args(command.get_args());
            few.envs(command.get_envs().filter_map(|(k, v)| Some((k, v?)))).env("HSM_FEW", "1");
            let output = few.output().unwrap();
            assert!(output.status.success(), "{}", text(&output));
            return;
        }
        fixture.initialised();
        let enclave = Enclave::open(quick(&fixture)).unwrap();
        let key = new_key(1);
        let public = create(&enclave, key);
        let hoard: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        assert!(hoard.len() > 50);
        // The session copy of the key needs no file. Either it signs, or the canary has already refused: never wrong.
        for _ in 0..50 {
            match sign(&enclave, key.id) {
                Ok(product) => assert_eq!(product, public.g1),
                Err(EnclaveError::TokenUnavailable { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let answer = run(enclave.create(new_key(1), soon()));
        assert!(answer.is_err(), "{answer:?}");
        drop(hoard);
        until("the recovery", || enclave.health().token == TokenState::Ready);
        until("a signature", || sign(&enclave, key.id).is_ok());
        create(&enclave, new_key(1));
    });
}

#[test]
fn a_full_disk_fails_the_creation_and_nothing_else() {
    let name = "a_full_disk_fails_the_creation_and_nothing_else";
    isolated(name, |fixture| {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
            .arg(&fixture.directory)
            .output()
            .unwrap();
        if !mounted.status.success() {
            println!("no tmpfs can be mounted here: {}", text(&mounted));
            return;
        }
        let unmount = Unmount(fixture.directory.clone());
        fixture.initialised();
        let enclave = fixture.open();
        let key = new_key(1);
        let public = create(&enclave, key);
        let filler = fixture.directory.join("filler");
        let mut full = File::create(&filler).unwrap();
        while std::io::Write::write_all(&mut full, &[1; 512]).is_ok() {}
        let failed = new_key(1);
        let answer = run(enclave.create(failed, soon()));
        assert!(answer.is_err(), "{answer:?}");
        println!("{answer:?}");
        until("a signature", || sign(&enclave, key.id).is_ok_and(|product| product == public.g1));
        drop(full);
        std::fs::remove_file(&filler).unwrap();
        assert!(matches!(sign(&enclave, failed.id), Err(EnclaveError::UnknownKey)));
        let made = create(&enclave, failed);
        enclave.close();
        let enclave = fixture.open();
        assert!(signs(&enclave, failed.id, &made) && signs(&enclave, key.id, &public));
        assert!(enclave.health().findings.unreadable.is_empty());
        enclave.close();
        drop(unmount);
    });
}

struct Unmount(std::path::PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}
