//! The table of faults: what a PKCS#11 module can do to the enclave, and how it comes through. Never a wrong signature,
//! never a lost key, never a hang.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test
#![allow(clippy::wildcard_enum_match_arm, clippy::print_stdout)] // the table is printed

#[path = "support/fault_injection.rs"]
mod fault_injection;
#[path = "support/rows.rs"]
mod rows;
#[path = "support/token.rs"]
mod support;

use fault_injection::Bench;
use hsm::*;
use rows::Row;
use support::*;

fn table(name: &str, rows: &[Row]) {
    table_with(name, FaultCheck::Linear, rows);
}

fn table_with(name: &str, check: FaultCheck, rows: &[Row]) {
    isolated(name, |fixture| {
        let mut bench = Bench::with(fixture, check);
        for (name, rules, outcome) in rows {
            println!("{}", bench.row(name, rules, *outcome));
        }
        bench.finish();
    });
}

fn matrix(name: &str, calls: &[&str]) {
    isolated(name, |fixture| {
        let mut bench = Bench::new(fixture);
        for (name, rules, outcome) in calls.iter().flat_map(|call| rows::matrix(call)) {
            println!("{}", bench.row(&name, &rules, outcome));
        }
        bench.finish();
    });
}

#[test]
fn the_matrix_covers_every_call_of_the_table() {
    let here = [DECRYPT, CREATE, FIND].concat();
    assert_eq!(here, rows::CALLS);
}

/// A bench whose token derives the key of each record. The checkpoint key signs by the same calls, but not here.
fn deriving(fixture: Fixture) -> Bench {
    Bench::under(fixture, FaultCheck::Linear, SchemeChoice::S6)
}

#[test]
fn every_code_at_derivation_under_s6() {
    isolated("every_code_at_derivation_under_s6", |fixture| {
        let mut bench = deriving(fixture);
        for (name, rules, outcome) in rows::DERIVING_CALLS.iter().flat_map(|call| rows::matrix(call)) {
            println!("{}", bench.row(&name, &rules, outcome));
        }
        bench.finish();
    });
}

#[test]
fn keys_that_are_derived_wrongly_under_s6() {
    isolated("keys_that_are_derived_wrongly_under_s6", |fixture| {
        let mut bench = deriving(fixture);
        for (name, rules, outcome) in rows::WRONG_KEYS {
            println!("{}", bench.row(name, rules, *outcome));
        }
        bench.finish();
    });
}

#[test]
fn every_code_at_decrypt_with_the_records_in_the_store() {
    isolated("every_code_at_decrypt_with_the_records_in_the_store", |fixture| {
        let mut bench = Bench::in_store(fixture);
        for (name, rules, outcome) in DECRYPT.iter().flat_map(|call| rows::matrix(call)) {
            println!("{}", bench.row(&name, &rules, outcome));
        }
        for (name, rules, outcome) in rows::SESSIONS {
            println!("{}", bench.row(name, rules, *outcome));
        }
        bench.finish();
    });
}

const DECRYPT: &[&str] = &["C_DecryptInit", "C_Decrypt"];
const CREATE: &[&str] = &["C_CreateObject", "C_Encrypt"];
const FIND: &[&str] = &["C_FindObjectsInit", "C_GetAttributeValue"];

#[test]
fn every_code_at_decrypt() {
    matrix("every_code_at_decrypt", DECRYPT);
}

#[test]
fn every_code_at_create_and_encrypt() {
    matrix("every_code_at_create_and_encrypt", CREATE);
}

#[test]
fn every_code_at_find_and_read() {
    matrix("every_code_at_find_and_read", FIND);
}

#[test]
fn sessions_that_are_spoiled() {
    table("sessions_that_are_spoiled", rows::SESSIONS);
}

#[test]
fn answers_that_are_wrong() {
    table("answers_that_are_wrong", rows::WRONG_ANSWERS);
}

#[test]
fn answers_that_are_wrong_under_the_curve_check() {
    table_with("answers_that_are_wrong_under_the_curve_check", FaultCheck::Curve, rows::WRONG_ANSWERS);
}

#[test]
fn creations_that_are_refused_or_half_answered() {
    table("creations_that_are_refused_or_half_answered", rows::CREATIONS);
}

#[test]
fn a_constant_generator_still_gives_distinct_keys() {
    isolated("a_constant_generator_still_gives_distinct_keys", |fixture| {
        let bench = Bench::new(fixture);
        bench.rules("C_GenerateRandom fill=17");
        let made: std::collections::HashSet<_> =
            (0..8).map(|_| create(bench.enclave(), new_key(1)).g1.to_bytes()).collect();
        assert_eq!(made.len(), 8);
        bench.rules("");
        bench.finish();
    });
}

#[test]
fn a_refused_pin_is_tried_once_and_never_again() {
    table("a_refused_pin_is_tried_once_and_never_again", rows::PINS);
}

#[test]
fn a_pin_that_is_one_mistake_from_being_locked_is_not_presented() {
    isolated("a_pin_that_is_one_mistake_from_being_locked_is_not_presented", |fixture| {
        let mut bench = Bench::new(fixture);
        if let Some(enclave) = bench.enclave.take() {
            enclave.close();
        }
        for (which, flag) in [(1, "FINAL_TRY"), (2, "LOCKED")] {
            let _ = std::fs::remove_file(bench.log());
            bench.rules(&format!("C_GetTokenInfo fill={which}"));
            let error = Enclave::open(bench.settings.clone()).unwrap_err();
            let expected = match which {
                1 => matches!(error, OpenError::PinFinalTry),
                _ => matches!(error, OpenError::PinLocked),
            };
            assert!(expected, "{flag}: {error}");
            assert!(std::fs::read_to_string(bench.log()).unwrap().contains("logins=0"), "{flag}");
        }
        let _ = std::fs::remove_file(bench.log());
        bench.rules("C_Login rv=0xA0");
        assert!(matches!(Enclave::open(bench.settings.clone()), Err(OpenError::WrongPin)));
        assert!(std::fs::read_to_string(bench.log()).unwrap().contains("logins=1"));
        bench.rules("");
        bench.finish();
    });
}

#[test]
fn a_slow_token_is_only_slow() {
    table("a_slow_token_is_only_slow", rows::SLOW);
}

#[test]
fn a_token_whose_encryption_cannot_be_trusted_is_refused_at_the_start() {
    isolated("a_token_whose_encryption_cannot_be_trusted_is_refused_at_the_start", |fixture| {
        let mut bench = Bench::new(fixture);
        if let Some(enclave) = bench.enclave.take() {
            enclave.close();
        }
        // The canary passes (two decryptions); then everything opens, also what must not.
        bench.rules("C_Decrypt forgive after=3");
        match Enclave::open(bench.settings.clone()) {
            Err(OpenError::TokenUnfit { problem }) => {
                assert!(problem.contains("another header"), "{problem}")
            }
            other => panic!("{other:?}"),
        }
        bench.rules("");
        bench.finish();
    });
}

#[test]
fn what_the_service_finds_out_itself_is_not_reported_as_a_return_code() {
    isolated("what_the_service_finds_out_itself_is_not_reported_as_a_return_code", |fixture| {
        let bench = Bench::new(fixture);
        bench.rules("C_Encrypt length=47");
        let answer = run(bench.enclave().create(new_key(1), soon()));
        let Err(EnclaveError::TokenUnavailable { source: Some(error), .. }) = answer else {
            panic!("{answer:?}");
        };
        assert!(matches!(error.cause, Cause::ProtocolViolation(_)), "{error}");
        assert_eq!(error.to_string(), "C_Encrypt answered CKR_OK, but its ciphertext has another length");
        bench.rules("");
        bench.finish();
    });
}
