//! The appender alone: how its waiting compares with one bare `fdatasync` of the same disk, how
//! many records become durable per second, and how fast a log is verified. Everything in one run,
//! because only ratios travel.
//!
//! `cargo bench --bench audit [-- SECONDS_PER_STEP]`; `AVS_KMS_BENCH_RECORDS=10000000` verifies
//! this many records (6 GB) instead of two million.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench prints, and should stop at the first surprise"
)]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use audit_log::{
    Actor, AuditLog, BuildInfo, Event, Input, Intent, KeyRef, Outcome, Recordable, Settings, verify,
};

struct Multiply;

fn key(eoa: String) -> Option<KeyRef> {
    Some(KeyRef {
        eoa,
        name: "default".to_owned(),
        version: Some(1),
        id: Some("00112233445566778899aabbccddeeff".to_owned()),
        public_key_hash: Some([3; 32]),
    })
}

impl Recordable for Multiply {
    fn intent(&self) -> Intent {
        let eoa = format!("0x{}", "07".repeat(20));
        Intent {
            operation: "scalar_mul",
            actor: Actor::token(Some(eoa.clone()), "tok_0123456789", None),
            request: format!("req_{}", "05".repeat(16)),
            key: key(eoa),
            input: Some(Input::Point([9; 64])),
        }
    }
}

fn event() -> Event {
    let Intent { operation, actor, request, key, input } = Multiply.intent();
    Event { operation, actor, request: Some(request), key, input, code: "ok" }
}

struct Times(Vec<Duration>);

impl Times {
    fn micros(&mut self, share: f64) -> f64 {
        self.0.sort_unstable();
        let index = ((self.0.len() - 1) as f64 * share) as usize;
        self.0[index].as_nanos() as f64 / 1000.0
    }

    fn show(&mut self, what: &str) -> f64 {
        let (p50, p99) = (self.micros(0.5), self.micros(0.99));
        println!("{what:<58} p50 {p50:>8.0} us   p99 {p99:>8.0} us   n {}", self.0.len());
        p50
    }
}

/// Time of the work of a client between two records that it waits for.
const WORK: Duration = Duration::from_micros(100);

fn work(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Two sectors in place and `fdatasync`, as the log does it; with work before each.
fn bare(directory: &Path, time: Duration, pause: Duration) -> Times {
    let file = File::create(directory.join("bare")).unwrap();
    file.write_all_at(&vec![0; 64 << 20], 0).unwrap();
    file.sync_all().unwrap();
    let (begun, mut times, mut offset) = (Instant::now(), Vec::new(), 0);
    while begun.elapsed() < time && offset < 64 << 20 {
        work(pause);
        let one = Instant::now();
        file.write_all_at(&[1; 1024], offset).unwrap();
        file.sync_data().unwrap();
        times.push(one.elapsed());
        offset += 1024;
    }
    Times(times)
}

fn open(directory: &Path, name: &str, segment_mib: u64) -> AuditLog {
    let segment_bytes = segment_mib << 20;
    let settings = Settings { queue: 1 << 16, segment_bytes, ..Settings::new(directory.join(name)) };
    AuditLog::create(&settings).unwrap();
    let boot = BuildInfo { version: "bench".to_owned(), config_digest: [0; 32], installation: None };
    AuditLog::open(settings, boot).unwrap().0
}

/// As a client with one connection does: wait for the intent, work, hand the outcome in, ask again.
fn one_waiter(runtime: &tokio::runtime::Runtime, directory: &Path, time: Duration) -> Times {
    let log = open(directory, "one", 64);
    let times = runtime.block_on(async {
        let (begun, mut times) = (Instant::now(), Vec::new());
        while begun.elapsed() < time {
            let one = Instant::now();
            let recorded = log.record(Multiply).await.unwrap();
            times.push(one.elapsed());
            work(WORK);
            recorded.consume().1.record_outcome(Outcome::ok(100));
        }
        times
    });
    log.close().unwrap();
    Times(times)
}

/// Processor time of the whole process: what still means something on a busy machine.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

fn throughput(
    runtime: &tokio::runtime::Runtime,
    directory: &Path,
    (waiters, segment_mib): (u64, u64),
    time: Duration,
) -> (f64, f64) {
    let log = open(directory, &format!("waiters-{waiters}-{segment_mib}"), segment_mib);
    let count = Arc::new(AtomicU64::new(0));
    let (begun, cpu_before) = (Instant::now(), cpu());
    runtime.block_on(async {
        let tasks: Vec<_> = (0..waiters)
            .map(|_| {
                let (log, count, event) = (log.clone(), count.clone(), event());
                tokio::spawn(async move {
                    while begun.elapsed() < time {
                        log.note_durable(event.clone()).await.unwrap();
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    let count = count.load(Ordering::Relaxed) as f64;
    let (rate, cost) = (count / begun.elapsed().as_secs_f64(), (cpu() - cpu_before).as_secs_f64() / count);
    log.close().unwrap();
    (rate, cost * 1e6)
}

fn main() {
    // `cargo test --benches` runs bench programs with `--test`; this one is for `cargo bench`
    // alone.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let seconds = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(2.0);
    let time = Duration::from_secs_f64(seconds);
    let root = tempfile::tempdir_in(".").unwrap();
    let directory = root.path();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();

    let in_a_row = bare(directory, time, Duration::ZERO).show("one write and fdatasync, bare, in a row");
    let before = bare(directory, time, WORK).show("one write and fdatasync, bare, 100 us of work between");
    let one =
        one_waiter(&runtime, directory, time).show("one intent durable, one waiter, 100 us of work between");
    println!("{:<58} {:.2} (aim 1.5 at most)", "  ratio of the medians", one / before);
    println!("{:<58} {:.2}\n", "  and to those in a row", one / in_a_row);
    // A segment is zeroed before it is written, so the disk carries each byte twice; larger
    // segments last longer, and the next is prepared more slowly.
    for (waiters, segment_mib) in [(1, 64), (16, 64), (64, 64), (256, 64), (256, 1024)] {
        let (rate, cost) = throughput(&runtime, directory, (waiters, segment_mib), time);
        println!(
            "{waiters:>4} waiters, segments of {segment_mib:>4} MiB: {rate:>8.0} durable records/s   {cost:>8.2} us of processor time each"
        );
    }
    let wanted: usize =
        std::env::var("AVS_KMS_BENCH_RECORDS").ok().and_then(|count| count.parse().ok()).unwrap_or(2_000_000);
    let log = open(directory, "long", 64);
    for _ in 0..wanted.div_ceil(4_001) {
        (0..4_000).for_each(|_| log.note(event()));
        runtime.block_on(log.note_durable(event())).unwrap();
    }
    log.close().unwrap();
    let records = verify(&directory.join("long")).unwrap().records as f64;
    let (time, peak) = shipped_verification(&directory.join("long"));
    println!(
        "\naudit verify: {records} records, {:.0} records/s (aim 1,000,000), resident {peak:.1} MiB at most",
        records / time.as_secs_f64()
    );
}

/// How long the program takes for the whole log, and the most memory that it had, in MiB.
fn shipped_verification(log: &Path) -> (Duration, f64) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_avs-kms-audit-verify"));
    command.arg("--log").arg(log).stdout(Stdio::null());
    let begun = Instant::now();
    let mut program = command.spawn().unwrap();
    let (mut peak, status) = (0.0, format!("/proc/{}/status", program.id()));
    loop {
        if let Some(ended) = program.try_wait().unwrap() {
            assert!(ended.success(), "the log is not sound");
            return (begun.elapsed(), peak);
        }
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        if let Some(line) = status.lines().find_map(|line| line.strip_prefix("VmHWM:")) {
            peak = line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
