//! Tokens that are slow or that drop sessions: the rate that their pace allows, no client behind the others, readiness
//! that does not flap.
#![allow(clippy::print_stdout, reason = "the figures are the result")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::bench::Bench;
use crate::load::sign_each;
use crate::rows::Slow;

/// Clients; as many as workers.
pub(crate) const CLIENTS: u64 = 16;
/// Signatures of each client, on a token that takes one call at a time and on one that takes all at once.
const EACH: (u64, u64) = (6, 50);
/// The share of the calls that must be for signatures: what canary and checkpoints may take is the rest.
const SHARE: f64 = 0.9;
/// The share of the token's pace that the service must reach: the host wakes threads late, and the calls take time too.
const SHARE_OF_PACE: f64 = 0.85;
/// Where the host is too slow for the pace: the share of what the same run did over SoftHSM.
const SHARE_OF_SOFTHSM: f64 = 0.5;
/// Signatures per second over SoftHSM in the same run.
pub(crate) const SOFTHSM_RATE: &str = "MODULES_SOFTHSM_RATE";

/// As many signatures as the calls of each allow, the same for every client, and ready all the time.
pub(crate) fn check(bench: &Bench, pace: Slow, calls: f64) {
    let (client, stop) = (bench.client(), AtomicBool::new(false));
    let each = if pace.serial { EACH.0 } else { EACH.1 };
    let before = bench.calls();
    let ((times, refused), unready) = std::thread::scope(|scope| {
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
        (signed, asked.join().unwrap())
    });
    let at_once = if pace.serial { 1.0 } else { CLIENTS as f64 };
    let possible = at_once / (calls * pace.call);
    let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    let signed = (CLIENTS * each) as f64;
    let (rate, share) = (signed / last.as_secs_f64(), signed * calls / (bench.calls() - before));
    println!(
        "{rate:.1} of {possible:.1} possible signatures/s with {calls} calls each, {share:.2} of all calls; the clients took \
         {first:.1?} to {last:.1?}; {} refused, {unready} times unready",
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
