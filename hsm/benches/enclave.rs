//! Figures of the enclave alone: creation, opening with 1,000 keys, multiplications. `cargo bench -p hsm --bench enclave`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap ends the bench
#![allow(clippy::print_stdout)] // that is what it is for

use std::time::{Duration, Instant};

use hsm::*;

#[path = "../tests/support/token.rs"]
mod support;
use support::*;

/// What this process of the bench does: PKCS#11 state is global to a process.
const ROLE: &str = "HSM_BENCH_ROLE";

fn main() {
    let fixture = |directory: std::ffi::OsString| Fixture { directory: directory.into() };
    match (std::env::var(ROLE).as_deref(), std::env::var_os(DIRECTORY)) {
        (Ok("opening"), Some(directory)) => opening(&fixture(directory)),
        (Ok(_), Some(directory)) => figures(&fixture(directory)),
        _ => {
            let directory = tempfile::tempdir().unwrap();
            let ended = again("figures", directory.path()).env(ROLE, "figures").status().unwrap();
            assert!(ended.success());
        }
    }
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn percentile(times: &mut [Duration], part: f64) -> Duration {
    times.sort();
    times[((times.len() - 1) as f64 * part) as usize]
}

fn figures(fixture: &Fixture) {
    fixture.initialised();
    let before = resident_kib();
    let enclave = fixture.open();
    let mut times: Vec<_> = (0..20)
        .map(|_| {
            let begun = Instant::now();
            create(&enclave, new_key(1));
            begun.elapsed()
        })
        .collect();
    println!("create, synced: p50 {:?}, worst of 20 {:?}", percentile(&mut times, 0.5), times[19]);
    enclave.close();
    let unsynced = Settings { softhsm: None, ..fixture.settings() };
    let enclave = Enclave::open(unsynced).unwrap();
    (0..980).for_each(|_| {
        create(&enclave, new_key(1));
    });
    let id = enclave.keys()[0].id;
    enclave.close();
    let output = again("opening", &fixture.directory).env(ROLE, "opening").output().unwrap();
    print!("{}", text(&output));
    println!("resident before the first open {before} KiB");
    for fault_check in [FaultCheck::Curve, FaultCheck::Linear] {
        for workers in [1, 2] {
            let settings = Settings { fault_check, workers, ..fixture.settings() };
            let enclave = Enclave::open(settings).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let mut times = Vec::new();
            for _ in 0..3000 {
                let begun = Instant::now();
                runtime.block_on(enclave.scalar_mul(id, G1Point::generator(), soon())).unwrap();
                times.push(begun.elapsed());
            }
            let single = (percentile(&mut times, 0.5), percentile(&mut times, 0.99));
            let begun = Instant::now();
            runtime.block_on(async {
                let ask = |enclave: Enclave| async move {
                    for _ in 0..500 {
                        enclave.scalar_mul(id, G1Point::generator(), soon()).await.unwrap();
                    }
                };
                let all: Vec<_> = (0..16).map(|_| tokio::spawn(ask(enclave.clone()))).collect();
                for one in all {
                    one.await.unwrap();
                }
            });
            let rate = 8000.0 / begun.elapsed().as_secs_f64();
            println!(
                "scalar_mul {fault_check:?}, {workers} workers: one at a time p50 {:?} p99 {:?}; 16 at once {rate:.0}/s",
                single.0, single.1
            );
            enclave.close();
        }
    }
}

fn opening(fixture: &Fixture) {
    let begun = Instant::now();
    let enclave = fixture.open();
    let (wall, keys) = (begun.elapsed(), enclave.keys().len());
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let ticks: u64 = stat.split_whitespace().skip(13).take(2).map(|t| t.parse::<u64>().unwrap()).sum();
    println!(
        "open with {keys} keys: {wall:?}, {} ms of processor, resident {} KiB",
        ticks * 10,
        resident_kib()
    );
}
