//! Processes that want one token: who gets it, who is refused, and what a death leaves.

mod processes;

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use self::processes::{
    PATIENCE, Service, THIS_BOOT, command, leases, open_and_close, processes, put_lease, remove_leases,
    rules, settings,
};
use super::meddling::{meddle, put};
use super::support::{soon, text};
use super::*;
use crate::labels::LEASE_LABEL;
use crate::settings::LeaseSettings;
use crate::token::lease;

#[test]
fn a_second_process_is_refused_and_the_first_continues() {
    let name = "a_second_process_is_refused_and_the_first_continues";
    processes(name, |fixture, _| {
        let mut first = Service::start(name, fixture, "lock");
        let pid = first.child.id().to_string();
        for _ in 0..2 {
            let begun = Instant::now();
            match Enclave::open(settings(fixture, "lock-of-a-copy", THIS_BOOT)).unwrap_err() {
                OpenError::TokenInUse { holder } => assert!(holder.contains(&pid), "{holder}"),
                other => unreachable!("{other}"),
            }
            assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
            assert_eq!(first.ask("sign"), "true");
        }
        first.close();
        assert_eq!(leases(fixture), 0);
        let (_, from) = open_and_close(settings(fixture, "lock-of-a-copy", THIS_BOOT));
        assert!(from.is_empty(), "{from:?}");
    });
}

#[test]
fn a_killed_process_is_succeeded_at_once_by_one_with_its_lock_and_by_others_after_a_wait() {
    let name = "a_killed_process_is_succeeded_at_once_by_one_with_its_lock_and_by_others_after_a_wait";
    processes(name, |fixture, _| {
        for (lock, boot, waits) in
            [("lock", THIS_BOOT, false), ("lock-of-a-copy", THIS_BOOT, true), ("lock", "next-boot", true)]
        {
            let first = Service::start(name, fixture, "lock");
            let pid = first.child.id().to_string();
            first.kill();
            assert_eq!(leases(fixture), 1);
            let (took, from) = open_and_close(settings(fixture, lock, boot));
            assert_eq!(took >= PATIENCE, waits, "{lock} {boot}: {took:?}");
            assert_eq!(from.len(), usize::from(waits), "{from:?}");
            assert!(from.iter().all(|from| from.contains(&pid)), "{from:?}");
            assert_eq!(leases(fixture), 0);
        }
    });
}

#[test]
fn a_process_that_hung_signs_no_checkpoint_after_another_took_over() {
    let name = "a_process_that_hung_signs_no_checkpoint_after_another_took_over";
    processes(name, |fixture, _| {
        let mut first = Service::start(name, fixture, "lock");
        assert_eq!(first.ask("sign"), "true");
        first.signal("-STOP");
        let second = Enclave::open(settings(fixture, "lock-of-a-copy", THIS_BOOT)).unwrap();
        assert_eq!(second.health().findings.taken_over.holders.len(), 1);
        first.signal("-CONT");
        assert_eq!(first.ask("sign"), "false");
        let why = first.stopped();
        assert!(why.contains(&format!("process {}", std::process::id())), "{why}");
        second.sign_checkpoint(b"text\n", soon()).unwrap();
        first.close();
        second.sign_checkpoint(b"text\n", soon()).unwrap();
        second.close();
        assert_eq!(leases(fixture), 0);
    });
}

#[test]
fn a_lease_that_someone_removed_or_another_installation_beside_it_stops_the_process() {
    let name = "a_lease_that_someone_removed_or_another_installation_beside_it_stops_the_process";
    processes(name, |fixture, _| {
        let other = hex::encode([9; 16]);
        for (is_removed, said) in [(true, "someone removed it"), (false, other.as_str())] {
            let mut service = Service::start(name, fixture, "lock");
            assert_eq!(service.ask("sign"), "true");
            meddle(fixture, |session| match is_removed {
                true => remove_leases(session),
                false => put_lease(session, [9; 16]),
            });
            let why = service.stopped();
            assert!(why.contains(said) && why.contains("restart"), "{why}");
            service.close();
            meddle(fixture, remove_leases);
        }
    });
}

#[test]
fn a_token_that_hides_its_objects_once_is_not_lost() {
    let name = "a_token_that_hides_its_objects_once_is_not_lost";
    processes(name, |fixture, _| {
        let enclave = Enclave::open(settings(fixture, "lock", THIS_BOOT)).unwrap();
        for rule in ["C_FindObjects hits=0 times=1", "C_FindObjectsInit rv=0x30 times=1"] {
            rules(fixture, rule);
            std::thread::sleep(Duration::from_secs(1));
            enclave.sign_checkpoint(b"text\n", soon()).unwrap();
            assert_eq!(enclave.health().token, TokenState::Ready, "{rule}");
        }
        enclave.close();
    });
}

#[test]
fn another_installation_is_refused_until_the_token_is_taken_over_by_name() {
    let name = "another_installation_is_refused_until_the_token_is_taken_over_by_name";
    processes(name, |fixture, _| {
        meddle(fixture, |session| put_lease(session, [9; 16]));
        let refused = Enclave::open(settings(fixture, "lock", THIS_BOOT)).unwrap_err();
        assert!(matches!(refused, OpenError::TokenOfOtherInstallation { .. }), "{refused}");
        assert!(refused.to_string().contains(&hex::encode([9; 16])), "{refused}");
        assert_eq!(leases(fixture), 1);
        let own = settings(fixture, "lock", THIS_BOOT);
        let lease = LeaseSettings { take_over: true, ..own.lease.clone() };
        let (_, from) = open_and_close(Settings { lease, ..own });
        assert!(from.len() == 1 && from[0].contains(&hex::encode([9; 16])), "{from:?}");
        assert_eq!(leases(fixture), 0);
    });
}

#[test]
fn a_full_token_serves_without_a_lease_and_notices_another_process() {
    let name = "a_full_token_serves_without_a_lease_and_notices_another_process";
    processes(name, |fixture, _| {
        rules(fixture, "C_CreateObject rv=0x31 times=1");
        let enclave = Enclave::open(settings(fixture, "lock", THIS_BOOT)).unwrap();
        enclave.sign_checkpoint(b"text\n", soon()).unwrap();
        rules(fixture, "");
        let second = Service::start(name, fixture, "lock-of-a-copy");
        let until = Instant::now() + Duration::from_secs(5);
        while !matches!(enclave.health().token, TokenState::Stopped { .. }) {
            assert!(Instant::now() < until);
            std::thread::sleep(Duration::from_millis(50));
        }
        enclave.close();
        second.kill();
        // Where another process may be alive, a token without space is no reason to go on.
        rules(fixture, "C_CreateObject rv=0x31 times=1");
        let refused = Enclave::open(settings(fixture, "lock", THIS_BOOT)).unwrap_err();
        assert!(matches!(refused, OpenError::Token(_)), "{refused}");
    });
}

#[test]
fn a_start_that_dies_at_any_step_of_a_take_over_leaves_a_token_for_the_next() {
    let name = "a_start_that_dies_at_any_step_of_a_take_over_leaves_a_token_for_the_next";
    processes(name, |fixture, installation| {
        for rule in [
            "C_CreateObject kill",
            "C_CreateObject kill_post",
            "C_DestroyObject kill",
            "C_DestroyObject kill_post",
            "C_DestroyObject kill after=1",
        ] {
            let written = meddle(fixture, |session| {
                put_lease(session, installation);
                put(session, LEASE_LABEL, "avs-kms/1", b"torn");
                lease::read(session).unwrap().len()
            });
            assert_eq!(written, 2);
            let mut victim = command(name, fixture, "lock");
            let output = victim.env("HSM_RULE", rule).stdin(Stdio::null()).output().unwrap();
            assert_eq!(output.status.signal(), Some(9), "{rule}: {}", text(&output));
            rules(fixture, "");
            open_and_close(settings(fixture, "lock", THIS_BOOT));
            assert_eq!(leases(fixture), 0, "{rule}");
        }
    });
}
