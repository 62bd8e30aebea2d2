//! What must stay as it is however long it runs, and how soon it is back; in full with AVS_KMS_LONG.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test
#![allow(clippy::print_stdout)] // that is what it is for

use std::time::{Duration, Instant};

use hsm::*;

#[path = "support/fault_injection.rs"]
mod fault_injection;
#[path = "support/rows.rs"]
mod rows;
#[path = "support/token.rs"]
mod support;
use support::*;

fn long(in_full: u32, in_short: u32) -> u32 {
    if std::env::var_os("AVS_KMS_LONG").is_some() { in_full } else { in_short }
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

#[test]
fn signatures_leave_memory_sessions_objects_threads_and_descriptors_as_they_were() {
    let name = "signatures_leave_memory_sessions_objects_threads_and_descriptors_as_they_were";
    isolated(name, |fixture| {
        fixture.initialised();
        // The module counts sessions; the canary is left out because its checks open some.
        let canary_interval = Duration::from_secs(3600);
        let settings = Settings {
            module: test_report::fault_injection_module(&fixture.directory),
            canary_interval,
            ..fixture.settings()
        };
        let enclave = Enclave::open(settings).unwrap();
        let key = new_key(1);
        create(&enclave, key);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let sign = |count: u32| {
            for _ in 0..count {
                runtime.block_on(enclave.scalar_mul(key.id, G1Point::generator(), soon())).unwrap();
            }
        };
        let count = |path: &std::path::Path| std::fs::read_dir(path).unwrap().count();
        let token = fixture.token_directory();
        let state =
            || ["/proc/self/fd", "/proc/self/task", token.to_str().unwrap()].map(|path| count(path.as_ref()));
        sign(2_000);
        let (before, resident) = (state(), resident_kib());
        let many = long(200_000, 10_000);
        sign(many);
        let (after, grown) = (state(), resident_kib().saturating_sub(resident));
        println!(
            "descriptors, threads, objects {before:?}; after {many} signatures {after:?}, {grown} KiB more"
        );
        assert!(grown < 2048);
        assert_eq!(after, before);
        enclave.close();
        let log = std::fs::read_to_string(fixture.directory.join("module.log")).unwrap();
        let opened = log.lines().last().unwrap().strip_prefix("FINALIZE logins=1 open=0 opened=").unwrap();
        println!("sessions opened in all: {opened}");
        assert!(opened.parse::<usize>().unwrap() < 20, "sessions are opened for signatures: {log}");
    });
}

#[test]
fn the_first_signature_follows_the_tokens_return() {
    isolated("the_first_signature_follows_the_tokens_return", |fixture| {
        fixture.initialised();
        let canary_interval = Duration::from_millis(50);
        let enclave = Enclave::open(Settings { canary_interval, ..fixture.settings() }).unwrap();
        let key = new_key(1);
        create(&enclave, key);
        let (tokens, away) = (fixture.directory.join("tokens"), fixture.directory.join("away"));
        let sign = || run(enclave.scalar_mul(key.id, G1Point::generator(), soon()));
        let mut times: Vec<_> = (0..u64::from(long(60, 8)))
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
        let (half, most) = (percentile(&mut times, 0.5), percentile(&mut times, 0.99));
        println!("first signature after the token is back: p50 {half:?} p99 {most:?}");
        assert!(most < Duration::from_secs(10));
    });
}
