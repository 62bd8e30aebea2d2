//! Calls that hang: their callers get their deadline, every other caller is served.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test
#![allow(clippy::wildcard_enum_match_arm, clippy::print_stdout)] // what was not expected is printed

#[path = "support/fault_injection.rs"]
mod fault_injection;
#[path = "support/rows.rs"]
mod rows;
#[path = "support/token.rs"]
mod support;

use std::time::{Duration, Instant};

use fault_injection::Bench;
use hsm::*;
use support::*;

#[test]
fn calls_that_hang_cost_their_callers_a_deadline_and_no_other_caller_anything() {
    let name = "calls_that_hang_cost_their_callers_a_deadline_and_no_other_caller_anything";
    isolated(name, |fixture| {
        let bench = Bench::new(fixture);
        let (id, key) = bench.keys[0];
        let sign = |patience: u64| {
            let deadline = Instant::now() + Duration::from_millis(patience);
            run(bench.enclave().scalar_mul(id, G1Point::generator(), deadline))
        };
        // Both workers hang; spares take over.
        bench.rules("C_Decrypt hang times=2");
        for _ in 0..2 {
            let begun = Instant::now();
            let answer = sign(300);
            assert!(matches!(answer, Err(EnclaveError::DeadlineExceeded)), "{answer:?}");
            assert!(begun.elapsed() < Duration::from_secs(5));
        }
        assert_eq!(sign(5000).unwrap(), key.g1, "a spare signs while both workers hang");
        let crew = || {
            let health = bench.enclave().health();
            (health.workers, health.stuck_workers)
        };
        wait_for(|| crew() == (2, 2));
        assert!(!bench.enclave().health().stalled, "others sign");
        // They come back and leave; the spares stay.
        bench.rules("");
        wait_for(|| crew() == (2, 0));
        assert_eq!(sign(2000).unwrap(), key.g1);

        // Every call hangs: workers and spares are used up, then the circuit refuses at once.
        bench.rules("C_Decrypt hang");
        wait_for(|| matches!(sign(100), Err(EnclaveError::TokenUnavailable { .. })));
        let begun = Instant::now();
        assert!(matches!(sign(5000), Err(EnclaveError::TokenUnavailable { .. })));
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        assert!(bench.enclave().health().stalled);
        // And it is over when it is over.
        bench.rules("");
        wait_for(|| sign(1000).is_ok_and(|product| product == key.g1));
        wait_for(|| crew() == (2, 0));
        bench.finish();
    });
}

#[test]
fn a_canary_that_hangs_shows_without_any_request() {
    isolated("a_canary_that_hangs_shows_without_any_request", |fixture| {
        let mut bench = Bench::new(fixture);
        bench.settings.canary_interval = Duration::from_millis(50);
        bench.reopen();
        assert!(!bench.enclave().health().stalled);
        bench.rules("C_Decrypt hang");
        wait_for(|| bench.enclave().health().stalled);
        bench.rules("");
        wait_for(|| !bench.enclave().health().stalled);
        bench.finish();
    });
}

#[test]
fn a_creation_that_hangs_does_not_stop_signing() {
    isolated("a_creation_that_hangs_does_not_stop_signing", |fixture| {
        let bench = Bench::new(fixture);
        let (id, key) = bench.keys[0];
        bench.rules("C_CreateObject hang times=1");
        let hung = new_key(1);
        let answer = run(bench.enclave().create(hung, Instant::now() + Duration::from_millis(300)));
        assert!(matches!(answer, Err(EnclaveError::DeadlineExceeded)), "{answer:?}");
        for _ in 0..20 {
            assert!(signs(bench.enclave(), id, &key));
        }
        wait_for(|| {
            matches!(
                run(bench.enclave().create(new_key(1), Instant::now() + Duration::from_millis(100))),
                Err(EnclaveError::TokenUnavailable { .. })
            )
        });
        bench.rules("");
        // The creation came about after its caller had gone: repeating it gives the same key.
        wait_for(|| bench.enclave().public_key(hung.id).is_some());
        let made = create(bench.enclave(), hung);
        assert_eq!(bench.enclave().public_key(hung.id), Some(made));
        assert!(signs(bench.enclave(), hung.id, &made));
        bench.finish();
    });
}

fn wait_for(mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it did not come about");
        std::thread::sleep(Duration::from_millis(10));
    }
}
