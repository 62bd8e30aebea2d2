//! Figures, printed: `cargo test --release -p hsm --test numbers -- --ignored --nocapture`. Not a test of behaviour.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test
#![allow(clippy::print_stdout)] // that is what it is for

use std::time::{Duration, Instant};

use hsm::*;

#[path = "support/token.rs"]
mod support;
use support::*;

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn percentile(times: &mut [Duration], part: f64) -> Duration {
    times.sort();
    times[((times.len() - 1) as f64 * part) as usize]
}

#[test]
#[ignore = "prints figures"]
fn figures_of_the_enclave() {
    isolated("figures_of_the_enclave", |fixture| {
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
        let unsynced = Settings { sync_directory: None, ..fixture.settings() };
        let enclave = Enclave::open(unsynced).unwrap();
        (0..980).for_each(|_| {
            create(&enclave, new_key(1));
        });
        let id = enclave.keys()[0].id;
        enclave.close();
        if std::env::var_os("HSM_SECOND").is_none() {
            let output = again("figures_of_opening", &fixture.directory).output().unwrap();
            print!("{}", text(&output).lines().filter(|l| l.contains("open")).collect::<Vec<_>>().join("\n"));
            println!();
        }
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
    });
}

#[test]
#[ignore = "run by figures_of_the_enclave on its directory"]
fn figures_of_opening() {
    if std::env::var_os("HSM_TEST_DIRECTORY").is_none() {
        return;
    }
    isolated("figures_of_opening", |fixture| {
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
    });
}

#[test]
#[ignore = "prints figures"]
fn two_hundred_thousand_signatures_leave_memory_and_descriptors_as_they_were() {
    let name = "two_hundred_thousand_signatures_leave_memory_and_descriptors_as_they_were";
    isolated(name, |fixture| {
        fixture.initialised();
        let settings = Settings { fault_check: FaultCheck::Curve, ..fixture.settings() };
        let enclave = Enclave::open(settings).unwrap();
        let key = new_key(1);
        create(&enclave, key);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let sign = |count: u32| {
            for _ in 0..count {
                runtime.block_on(enclave.scalar_mul(key.id, G1Point::generator(), soon())).unwrap();
            }
        };
        let count = |path: &str| std::fs::read_dir(path).unwrap().count();
        let state = || (resident_kib(), count("/proc/self/fd"), count("/proc/self/task"));
        sign(2_000);
        let before = state();
        sign(200_000);
        let after = state();
        println!("(KiB, descriptors, threads) before {before:?}, after 200,000 signatures {after:?}");
        assert!(after.0 < before.0 + 2048 && after.1 == before.1 && after.2 == before.2);
    });
}

#[test]
#[ignore = "prints figures"]
fn time_from_the_token_being_back_to_the_first_signature() {
    isolated("time_from_the_token_being_back_to_the_first_signature", |fixture| {
        fixture.initialised();
        let canary_interval = Duration::from_millis(50);
        let enclave = Enclave::open(Settings { canary_interval, ..fixture.settings() }).unwrap();
        let key = new_key(1);
        create(&enclave, key);
        let (tokens, away) = (fixture.directory.join("tokens"), fixture.directory.join("away"));
        let sign = || run(enclave.scalar_mul(key.id, G1Point::generator(), soon()));
        let mut times: Vec<_> = (0..60)
            .map(|cycle| {
                std::fs::rename(&tokens, &away).unwrap();
                while sign().is_ok() {}
                std::thread::sleep(Duration::from_millis(cycle * 37 % 600));
                std::fs::rename(&away, &tokens).unwrap();
                let begun = Instant::now();
                while sign().is_err() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                begun.elapsed()
            })
            .collect();
        println!("back after: p50 {:?} p99 {:?}", percentile(&mut times, 0.5), percentile(&mut times, 0.99));
    });
}
