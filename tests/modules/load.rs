//! Clients that ask as fast as they are answered: for rates, and to be at work when the service is killed.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ark_bn254::G1Affine;

use crate::bench::{Bench, Client, affine};
use crate::support::{Running, g1};

/// What a load that ended knows.
pub(crate) struct Loaded {
    /// Signatures of each client.
    pub(crate) signed: Vec<u64>,
    /// Answers that refused, by status and code.
    pub(crate) refused: Vec<String>,
}

impl Loaded {
    pub(crate) fn total(&self) -> u64 {
        self.signed.iter().sum()
    }
}

/// This number of clients signs with one key for this time.
pub(crate) fn sign_for(client: &Client, clients: u64, time: Duration) -> Loaded {
    let end = Instant::now() + time;
    let refused = Mutex::new(Vec::new());
    let one = |number: u64| {
        let mut signed = 0;
        while Instant::now() < end {
            let answer = client.sign("one", number + 1).expect("an answer");
            // An answer that came after the end is not counted.
            match answer.status {
                200 => signed += u64::from(Instant::now() < end),
                _ => {
                    refused.lock().unwrap().push(format!("{:?}", answer.code()));
                    thread::sleep(Duration::from_millis(20));
                }
            }
        }
        signed
    };
    let signed = thread::scope(|scope| {
        let handles: Vec<_> = (0..clients).map(|number| scope.spawn(move || one(number))).collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    });
    Loaded { signed, refused: refused.into_inner().unwrap() }
}

/// Each of these clients signs this number of times, one after the other: how long each took, and what was refused.
pub(crate) fn sign_each(client: &Client, clients: u64, count: u64) -> (Vec<Duration>, Vec<String>) {
    let refused = Mutex::new(Vec::new());
    let one = |number: u64| {
        let begun = Instant::now();
        for _ in 0..count {
            let answer = client.sign("one", number + 1).expect("an answer");
            if answer.status != 200 {
                refused.lock().unwrap().push(format!("{:?}", answer.code()));
            }
        }
        begun.elapsed()
    };
    let times = thread::scope(|scope| {
        let handles: Vec<_> = (0..clients).map(|number| scope.spawn(move || one(number))).collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    });
    (times, refused.into_inner().unwrap())
}

/// SIGKILL once this number of signatures was answered.
pub(crate) fn kill_while_signing(client: &Client, service: Running, after: u64) {
    let (done, dead) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for number in 0..8 {
            let (done, dead) = (&done, &dead);
            scope.spawn(move || {
                while !dead.load(Ordering::Relaxed) {
                    match client.sign("one", number + 1) {
                        Some(answer) if answer.status == 200 => _ = done.fetch_add(1, Ordering::Relaxed),
                        Some(_) => thread::sleep(Duration::from_millis(20)),
                        None => return,
                    }
                }
            });
        }
        wait_for(&done, after);
        service.kill();
        dead.store(true, Ordering::Relaxed);
    });
}

/// SIGKILL while two clients create keys, once this number was reported as made: their names and public keys.
pub(crate) fn kill_while_creating(bench: &mut Bench, after: u64) -> Vec<(String, G1Affine)> {
    let (done, made) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let (client, service) = (bench.client(), bench.service.take().unwrap());
    thread::scope(|scope| {
        for number in 0..2 {
            let (done, made, client) = (&done, &made, &client);
            scope.spawn(move || {
                for turn in 0.. {
                    let name = format!("killed-{number}-{turn}");
                    let Some(answer) = client.create(&name) else { return };
                    match answer.status {
                        201 => {
                            made.lock().unwrap().push((name, affine(&g1(&answer.body["g1"]))));
                            done.fetch_add(1, Ordering::Relaxed);
                        }
                        503 => thread::sleep(Duration::from_millis(20)),
                        // The token is full: nothing more to do but to wait for the kill.
                        507 => {
                            done.fetch_add(1, Ordering::Relaxed);
                            thread::sleep(Duration::from_millis(50));
                        }
                        _ => panic!("{answer:?}"),
                    }
                }
            });
        }
        wait_for(&done, after);
        service.kill();
    });
    made.into_inner().unwrap()
}

fn wait_for(done: &AtomicU64, count: u64) {
    let end = Instant::now() + Duration::from_secs(120);
    while done.load(Ordering::Relaxed) < count {
        assert!(Instant::now() < end, "{} of {count} answers", done.load(Ordering::Relaxed));
        thread::sleep(Duration::from_millis(1));
    }
}
