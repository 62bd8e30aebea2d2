//! Tokens that grant few sessions: fewer workers serve every request, or the start is refused with the numbers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test
#![allow(clippy::wildcard_enum_match_arm)] // what was not expected is printed

use hsm::*;
use test_report::fault_injection_module;

#[path = "support/token.rs"]
mod support;
use support::*;

/// Eight workers are asked for; the token has this number of sessions.
fn limited(fixture: &Fixture, sessions: usize) -> Settings {
    std::fs::write(fixture.directory.join("rules"), format!("C_OpenSession capacity={sessions}")).unwrap();
    Settings { workers: 8, module: fault_injection_module(&fixture.directory), ..fixture.settings() }
}

#[test]
fn a_token_with_few_sessions_gets_fewer_workers_and_every_request_is_served() {
    let name = "a_token_with_few_sessions_gets_fewer_workers_and_every_request_is_served";
    isolated(name, |fixture| {
        fixture.initialised();
        for (sessions, workers) in [(5, 1), (7, 3), (12, 8), (100, 8)] {
            let enclave = Enclave::open(limited(&fixture, sessions)).unwrap();
            assert_eq!(enclave.health().workers, workers, "{sessions} sessions");
            let new = new_key(1);
            let key = create(&enclave, new);
            std::thread::scope(|scope| {
                let clients: Vec<_> =
                    (0..16).map(|_| scope.spawn(|| (0..20).all(|_| signs(&enclave, new.id, &key)))).collect();
                assert!(clients.into_iter().all(|client| client.join().unwrap()), "{sessions} sessions");
            });
            enclave.close();
        }
    });
}

#[test]
fn a_token_without_a_session_for_one_worker_is_refused_with_the_numbers() {
    let name = "a_token_without_a_session_for_one_worker_is_refused_with_the_numbers";
    isolated(name, |fixture| {
        fixture.initialised();
        match Enclave::open(limited(&fixture, 4)) {
            Err(error @ OpenError::TooFewSessions { granted: 4, needed: 12 }) => {
                assert!(error.to_string().contains("enclave.workers"), "{error}");
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_token_whose_clock_has_another_form_than_the_standard_says_is_found() {
    let name = "a_token_whose_clock_has_another_form_than_the_standard_says_is_found";
    isolated(name, |fixture| {
        fixture.initialised();
        let settings = limited(&fixture, 100);
        std::fs::write(fixture.directory.join("rules"), "clock slow").unwrap();
        let enclave = Enclave::open(settings).unwrap();
        let new = new_key(1);
        assert!(signs(&enclave, new.id, &create(&enclave, new)));
    });
}
