//! A module that hangs while a command starts: the command ends with the call and the cure, and nothing is lost.

use std::time::{Duration, Instant};

use super::token_changes::Hsm;
use crate::support::{EOA, process, text};

/// Runs a command whose module never returns from this call.
fn hangs(hsm: &Hsm, arguments: &[&str], call: &str) {
    let mut command = hsm.command(arguments, &format!("{call} hang"));
    command.env("AVS_KMS__ENCLAVE__STALL_TIMEOUT", "100ms");
    let begun = Instant::now();
    let output = process::output(&mut command);
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{arguments:?} {call}: {said}");
    assert!(said.contains(&format!("has not returned from {call}")), "{arguments:?} {call}: {said}");
    assert!(said.contains("check the HSM, its network and the vendor's daemon"), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(40), "{arguments:?} {call}: {:?}", begun.elapsed());
}

#[test]
fn a_module_that_hangs_at_a_start_ends_the_command_with_the_call_and_the_cure() {
    let hsm = Hsm::new();
    for call in ["C_Initialize", "C_Login", "C_GenerateKeyPair"] {
        hangs(&hsm, &["init"], call);
    }
    hangs(&hsm, &["doctor"], "C_Initialize");
    let (code, said) = hsm.init(&["init"], "");
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(hsm.objects(), 6);
    for call in ["C_Initialize", "C_GetTokenInfo", "C_OpenSession", "C_Login"] {
        hangs(&hsm, &["serve"], call);
    }
    hangs(&hsm, &["doctor"], "C_Login");
    let made = process::output(&mut hsm.command(&["keys", "create", "--eoa", EOA], ""));
    assert!(made.status.success(), "{}", text(&made.stderr));
}
