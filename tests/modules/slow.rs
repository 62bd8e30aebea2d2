//! Tokens that are slow or that drop sessions: the rate that their pace allows 16 workers, no client behind the others,
//! readiness that does not flap.
#![allow(clippy::print_stdout, reason = "the figures are the result")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::load::sign_each;
use crate::row::{Slow, WORKERS};

/// Two clients for each worker, so that a request waits whenever a worker is free.
pub(crate) const CLIENTS: u64 = 2 * WORKERS;
/// Signatures of each client, on a token that takes one call at a time and on one that takes all at once.
const EACH: (u64, u64) = (3, 30);
/// The share of the calls that must be for signatures: what canary and checkpoints may take is the rest.
const SHARE: f64 = 0.9;
/// The share of what the token grants that the service must reach.
const SHARE_OF_PACE: f64 = 0.9;
/// Where the host is too slow for the pace: the share of what the same run did over SoftHSM.
const SHARE_OF_SOFTHSM: f64 = 0.5;
/// Signatures per second over SoftHSM in the same run.
pub(crate) const SOFTHSM_RATE: &str = "MODULES_SOFTHSM_RATE";

/// As many signatures as the calls of each allow, the same for every client, and ready all the time. Gives the share of
/// the possible rate that the service reached.
pub(crate) fn check(bench: &Bench, pace: Slow, calls: f64) -> f64 {
    let (client, stop) = (bench.client(), AtomicBool::new(false));
    let each = if pace.serial { EACH.0 } else { EACH.1 };
    let before = bench.calls();
    let ((times, refused), unready, call) = std::thread::scope(|scope| {
        let call = scope.spawn(|| granted(pace.call, &stop));
        let asked = scope.spawn(|| {
            let mut unready = 0;
            while !stop.load(Ordering::Relaxed) {
                unready += u64::from(client.ready() != 200);
                std::thread::sleep(Duration::from_millis(50));
            }
            unready
        });
        let signed = sign_each(&client, CLIENTS, each);
        stop.store(true, Ordering::Relaxed);
        (signed, asked.join().unwrap(), call.join().unwrap())
    });
    let at_once = if pace.serial { 1.0 } else { WORKERS as f64 };
    let possible = at_once / (calls * call);
    let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    let signed = (CLIENTS * each) as f64;
    let (rate, share) = (signed / last.as_secs_f64(), signed * calls / (bench.calls() - before));
    println!(
        "{rate:.1} of {possible:.1} possible signatures/s with {calls} calls each of {:.1} ms, {share:.2} of all calls; the \
         clients took {first:.1?} to {last:.1?}; {} refused, {unready} times unready",
        call * 1000.0,
        refused.len()
    );
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!(unready, 0, "not ready under load");
    let softhsm = std::env::var(SOFTHSM_RATE).ok().and_then(|rate| rate.parse().ok()).unwrap_or(f64::MAX);
    let least_rate = (SHARE_OF_PACE * possible).min(SHARE_OF_SOFTHSM * softhsm);
    assert!(rate >= least_rate, "{rate:.1} signatures/s of {possible:.1}");
    assert!(share >= SHARE, "{share:.2} of the calls were for signatures");
    // One queue: no client waits for more than one turn of every other, so all end at about the same time.
    assert!(first.as_secs_f64() >= 0.7 * last.as_secs_f64(), "{times:.1?}");
    rate / possible
}

/// Seconds that a call of the emulated token takes: it sleeps, and a busy host wakes it late, as it wakes this thread.
fn granted(call: f64, stop: &AtomicBool) -> f64 {
    let (begun, mut calls) = (Instant::now(), 0.0);
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_secs_f64(call));
        calls += 1.0;
    }
    begun.elapsed().as_secs_f64() / calls
}

/// Every session, the one that keeps the login too, was closed while no client asked.
pub(crate) fn after_idle(bench: &Bench) {
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(2500));
        // A client alone sees nothing of it.
        let answer = bench.client().sign("one", 1).expect("an answer");
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}
