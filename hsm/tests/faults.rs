//! The table of faults: what a PKCS#11 module can do to the enclave, and how it comes through. Never a wrong signature,
//! never a lost key, never a hang.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test
#![allow(clippy::wildcard_enum_match_arm, clippy::print_stdout)] // the table is printed

#[path = "support/shim.rs"]
mod shim;
#[path = "support/token.rs"]
mod support;

use hsm::*;
use shim::{Bench, Outcome};
use support::*;

fn table(name: &str, rows: &[(&str, &str, Outcome)]) {
    table_with(name, FaultCheck::Linear, rows);
}

fn table_with(name: &str, check: FaultCheck, rows: &[(&str, &str, Outcome)]) {
    isolated(name, |fixture| {
        let mut bench = Bench::with(fixture, check);
        for (name, rules, outcome) in rows {
            println!("{}", bench.row(name, rules, *outcome));
        }
        bench.finish();
    });
}

/// Every code of the matrix at every call, once and for as long as the fault lasts.
fn matrix(name: &str, calls: &[&str]) {
    isolated(name, |fixture| {
        let mut bench = Bench::new(fixture);
        for call in calls {
            for (code, text) in [
                ("0x02", "HOST_MEMORY"),
                ("0x05", "GENERAL_ERROR"),
                ("0x30", "DEVICE_ERROR"),
                ("0x32", "DEVICE_REMOVED"),
                ("0x40", "ENCRYPTED_DATA_INVALID"),
                ("0x60", "KEY_HANDLE_INVALID"),
                ("0x82", "OBJECT_HANDLE_INVALID"),
                ("0x90", "OPERATION_ACTIVE"),
                ("0xB0", "SESSION_CLOSED"),
                ("0xB3", "SESSION_HANDLE_INVALID"),
                ("0xE0", "TOKEN_NOT_PRESENT"),
                ("0x101", "USER_NOT_LOGGED_IN"),
                ("0x190", "CRYPTOKI_NOT_INITIALIZED"),
                ("0x80000001", "vendor code"),
            ] {
                // One failure of any call is carried through unseen; a lasting one is answered, and over when it is over.
                let once = format!("{call} rv={code} times=1");
                println!("{}", bench.row(&format!("{call} {text} once"), &once, Outcome::Serves));
                let always = format!("{call} rv={code}");
                println!("{}", bench.row(&format!("{call} {text} always"), &always, Outcome::Recovers));
            }
        }
        bench.finish();
    });
}

#[test]
fn every_code_at_decrypt() {
    matrix("every_code_at_decrypt", &["C_DecryptInit", "C_Decrypt"]);
}

#[test]
fn every_code_at_create_and_encrypt() {
    matrix("every_code_at_create_and_encrypt", &["C_CreateObject", "C_Encrypt"]);
}

#[test]
fn every_code_at_find_and_read() {
    matrix("every_code_at_find_and_read", &["C_FindObjectsInit", "C_GetAttributeValue"]);
}

#[test]
fn sessions_that_are_spoiled() {
    use Outcome::{Recovers, Serves};
    table(
        "sessions_that_are_spoiled",
        &[
            ("each session decrypts once only", "C_DecryptInit poison", Recovers),
            ("no session can be opened", "C_OpenSession rv=0xB1", Recovers),
            (
                "one session cannot be opened",
                "C_DecryptInit rv=0xB3 times=1\nC_OpenSession rv=0x30 times=1",
                Recovers,
            ),
            ("the login is lost once", "C_DecryptInit logout times=1", Serves),
            ("the login is lost all the time", "C_DecryptInit logout", Recovers),
            ("find fails between Init and Final", "C_FindObjects rv=0x30 times=1", Serves),
            ("FindObjectsFinal fails", "C_FindObjectsFinal rv=0x5 times=1", Serves),
            ("closing fails", "C_CloseSession rv=0x30", Serves),
            ("everything fails", "* rv=0x32", Recovers),
            ("everything fails for a while", "* rv=0x30 times=40", Recovers),
        ],
    );
}

/// What a lying token can answer.
const LIES: &[(&str, &str, Outcome)] = {
    use Outcome::{Damaged, Recovers, Serves};
    &[
        ("one bit of one plaintext is flipped", "C_Decrypt flip times=1", Serves),
        ("one bit of every plaintext is flipped", "C_Decrypt flip", Recovers),
        ("plaintexts are swapped", "C_Decrypt swap", Recovers),
        ("plaintext comes with an error once", "C_Decrypt plain=0x40 times=1", Serves),
        ("plaintext comes with an error", "C_Decrypt plain=0x40", Recovers),
        ("length 0", "C_Decrypt length=0 times=1", Serves),
        ("length 31", "C_Decrypt length=31 times=1", Serves),
        ("length 33", "C_Decrypt length=33", Recovers),
        ("length of the buffer", "C_Decrypt length=4096", Recovers),
        ("length beyond the buffer", "C_Decrypt length=5000 times=1", Serves),
        ("scalar 0 once", "C_Decrypt fill=0 times=1", Serves),
        ("scalar 0", "C_Decrypt fill=0", Recovers),
        ("scalar above r", "C_Decrypt fill=255 times=1", Serves),
        (
            "one record fails twice, the canary is well",
            "C_Decrypt rv=0x40 times=1\nC_Decrypt rv=0x40 after=2 times=1",
            Damaged,
        ),
        (
            "one record gives another scalar twice",
            "C_Decrypt fill=17 times=1\nC_Decrypt fill=17 after=2 times=1",
            Damaged,
        ),
        ("ciphertext is flipped at creation", "C_Encrypt flip times=1", Serves),
        ("ciphertext is always flipped", "C_Encrypt flip", Recovers),
        ("ciphertext has another length", "C_Encrypt length=47", Recovers),
        ("the token makes its own IV", "own_iv slow", Serves),
        ("finds nothing and says OK", "C_FindObjects hits=0", Recovers),
        ("finds nothing once", "C_FindObjects hits=0 times=1", Serves),
        ("finds everything twice", "C_FindObjects hits=2", Recovers),
        ("values are read wrongly", "C_GetAttributeValue flip", Recovers),
    ]
};

#[test]
fn answers_that_are_wrong() {
    table("answers_that_are_wrong", LIES);
}

#[test]
fn answers_that_are_wrong_under_the_curve_check() {
    table_with("answers_that_are_wrong_under_the_curve_check", FaultCheck::Curve, LIES);
}

#[test]
fn creations_that_are_refused_or_half_answered() {
    use Outcome::{Recovers, Serves};
    table(
        "creations_that_are_refused_or_half_answered",
        &[
            ("the reply to a creation is lost", "C_CreateObject post=0x30 times=1", Serves),
            ("the reply to every creation is lost", "C_CreateObject post=0x30", Serves),
            ("the reply and the session are lost", "C_CreateObject post=0xB3 times=1", Serves),
            ("the token is full", "C_CreateObject rv=0x31", Recovers),
            ("the template is refused", "C_CreateObject rv=0xD1", Recovers),
            ("the token is write-protected", "C_CreateObject rv=0xE2", Recovers),
            ("the generator fails", "C_GenerateRandom rv=0x121", Recovers),
            ("the generator is constant", "C_GenerateRandom fill=17", Serves),
            ("the generator gives ones", "C_GenerateRandom fill=255", Serves),
            ("the generator gives zeros", "C_GenerateRandom fill=0", Serves),
        ],
    );
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
    use Outcome::Stops;
    table(
        "a_refused_pin_is_tried_once_and_never_again",
        &[
            // The handle is said to be gone, the module re-initialised, and then the PIN is refused.
            ("wrong PIN at the way back", "C_DecryptInit rv=0x190 times=1\nC_Login rv=0xA0", Stops),
            ("locked PIN at the way back", "C_DecryptInit rv=0x190 times=1\nC_Login rv=0xA4", Stops),
            ("expired PIN at the way back", "C_DecryptInit rv=0x190 times=1\nC_Login rv=0xA3", Stops),
            ("one try left at the way back", "C_DecryptInit rv=0x190 times=1\nC_GetTokenInfo fill=1", Stops),
            ("the mechanism is forbidden", "C_DecryptInit rv=0x70", Stops),
            ("the key may no longer decrypt", "C_DecryptInit rv=0x68", Stops),
        ],
    );
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
            assert!(matches!(error, OpenError::PinLocked), "{flag}: {error}");
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
    use Outcome::Serves;
    table(
        "a_slow_token_is_only_slow",
        &[
            ("1 ms at every call", "* slow delay_ms=1", Serves),
            ("20 ms at every decryption", "C_Decrypt slow delay_ms=20", Serves),
            ("one second at one call", "C_DecryptInit slow delay_ms=1000 times=1", Serves),
        ],
    );
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
