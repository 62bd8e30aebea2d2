//! Nothing left behind: the whole readable memory of the running program is searched for every scalar in every shape and
//! for the PIN, idle, under load and in core files; and the same scanner finds what is planted for it.
//!
//! `make residue` does so to the release binary; the suite does it in short to the one it has built.
#![allow(clippy::print_stdout, reason = "the counts are the result")]

mod others;
#[path = "../../../hsm/src/enclave/tests/scanner.rs"]
mod scanner;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use test_report::Guarantee;

use crate::support::{EOA, Installation, Running, point, process, until};
use scanner::{Hits, Scanner};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn is_long() -> bool {
    std::env::var_os("AVS_KMS_LONG").is_some()
}

fn child_of(test: &str, installation: &Installation) -> Command {
    let mut command = process::child(concat!(module_path!(), "::others"), test);
    command
        .env("RESIDUE_DATA", installation.data())
        .env("SOFTHSM2_CONF", installation.data().join("token/softhsm2.conf"));
    command
}

fn read_scalars(data: &Path) -> Vec<[u8; 32]> {
    let text = fs::read_to_string(data.join("scalars")).unwrap();
    text.lines().map(|line| hex::decode(line).unwrap().try_into().unwrap()).collect()
}

/// A core file of a process that continues.
fn gcore(pid: u32, core: &Path) -> std::io::Result<Output> {
    let mut command = Command::new("gcore");
    command.arg("-o").arg(core).arg(pid.to_string()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().map(process::output_of)
}

/// A snapshot: the process is stopped while it is searched.
fn search(pid: u32, scanner: &Scanner, everything: bool) -> (Hits, usize) {
    let process = Pid::from_raw(pid.cast_signed()).unwrap();
    kill_process(process, Signal::STOP).unwrap();
    let stat = format!("/proc/{pid}/stat");
    let end = Instant::now() + Duration::from_secs(20);
    while !fs::read_to_string(&stat).unwrap().contains(") T ") {
        assert!(Instant::now() < end, "process {pid} does not stop");
        std::thread::yield_now();
    }
    let found = scanner.process(pid, everything);
    kill_process(process, Signal::CONT).unwrap();
    found
}

fn sign(service: &Running, token: &str, at: usize) {
    let hash = point(&hsm::G1Point::generator());
    let body = json!({"eoa": EOA, "name": NAMES[at % NAMES.len()], "hash": hash});
    let answer = service.post("/v1/scalar_mul", Some(token), &body);
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn sign_many(service: &Running, token: &str, count: usize) {
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || (0..count / 4).for_each(|at| sign(service, token, at + thread)));
        }
    });
}

/// Signs on one connection until told to end, so that the process does little else.
fn sign_without_pause(service: &Running, token: &str, name: &str, end: &AtomicBool, signed: &AtomicUsize) {
    let hash = point(&hsm::G1Point::generator());
    let body = json!({"eoa": EOA, "name": name, "hash": hash}).to_string();
    let request = crate::support::client::request("POST", "/v1/scalar_mul", Some(token), Some(&body));
    let request = String::from_utf8(request).unwrap().replace("Connection: close\r\n", "");
    let mut connection = BufReader::new(TcpStream::connect(service.address).unwrap());
    while !end.load(Ordering::Relaxed) {
        connection.get_mut().write_all(request.as_bytes()).unwrap();
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            connection.read_line(&mut line).unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut answer = vec![0; length];
        connection.read_exact(&mut answer).unwrap();
        assert!(crate::support::text(&answer).contains("\"signature\""), "{answer:?}");
        signed.fetch_add(1, Ordering::Relaxed);
    }
}

/// Searches the process in many snapshots while it signs; gives clean ones, those with bytes in SoftHSM's heap, and the
/// signatures made meanwhile.
fn search_under_load(service: &Running, token: &str, scanner: &Scanner, snapshots: usize) -> [usize; 3] {
    let (end, signed) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (mut clean, mut softhsm) = (0, 0);
    std::thread::scope(|scope| {
        for name in NAMES.iter().cycle().take(16) {
            let (end, signed) = (&end, &signed);
            scope.spawn(move || sign_without_pause(service, token, name, end, signed));
        }
        for _ in 0..snapshots {
            std::thread::sleep(Duration::from_micros(7_300));
            let (hits, _) = search(service.id(), scanner, false);
            // SoftHSM's own heap shows the bytes that it decrypts for as long as the call lasts: counted apart.
            let excepted = hits.keys().all(|(shape, place)| {
                *shape == "scalar, big-endian" && (place == "[heap]" || place == "anonymous")
            });
            if !excepted {
                end.store(true, Ordering::Relaxed);
                panic!("under load: {hits:?}");
            }
            if hits.is_empty() { clean += 1 } else { softhsm += 1 }
        }
        end.store(true, Ordering::Relaxed);
    });
    [clean, softhsm, signed.into_inner()]
}

/// The memory at the moment of SIGABRT, written by a debugger, because the kernel writes none for this process.
fn abort_core(service: Running, core: &Path) {
    let mut gdb = Command::new("gdb");
    gdb.args([
        "-batch",
        "-p",
        &service.id().to_string(),
        "-ex",
        "handle SIGABRT stop nopass",
        "-ex",
        "continue",
    ]);
    gdb.args(["-ex", &format!("generate-core-file {}", core.display()), "-ex", "kill"]);
    let Ok(gdb) = gdb.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() else {
        return;
    };
    // It has attached when the process is traced, and lets it go on.
    let status = format!("/proc/{}/status", service.id());
    let traced_and_running = || {
        let status = fs::read_to_string(&status).unwrap();
        !status.contains("TracerPid:\t0") && status.contains("State:\tS")
    };
    let end = Instant::now() + Duration::from_secs(60);
    while !traced_and_running() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
    }
    kill_process(Pid::from_raw(service.id().cast_signed()).unwrap(), Signal::ABORT).unwrap();
    let said = process::output_of(gdb);
    assert!(crate::support::text(&said.stdout).contains("SIGABRT"), "{said:?}");
    service.wait();
}

#[test]
fn no_scalar_and_no_pin_is_left_in_the_memory_of_the_program() {
    if !scanner::may_look() {
        Guarantee::Residue.skipped("needs CAP_SYS_PTRACE to read the memory of the program");
        return;
    }
    let installation = Installation::new();
    let token = installation.token(EOA);
    {
        let service = installation.serve();
        NAMES.iter().for_each(|name| drop(service.create(&token, EOA, name)));
        assert_eq!(service.stop(), Some(0));
    }
    process::run_child(&mut child_of("the_keeper_of_the_pin", &installation));
    let scalars = read_scalars(&installation.data());
    assert_eq!(scalars.len(), NAMES.len());
    let mut scanner = Scanner::new();
    scalars.iter().for_each(|scalar| scanner.scalar(scalar));
    scanner.pin(fs::read_to_string(installation.data().join("pin")).unwrap().trim().as_bytes());

    let service = installation.serve();
    if !service.start.contains("memfd_secret") {
        Guarantee::Residue.skipped("needs memfd_secret: on this kernel root can read locked pages");
        return;
    }
    let (many, snapshots) = if is_long() { (10_000, 300) } else { (400, 20) };
    println!("program: {}", crate::support::program().display());
    for (signatures, what) in [(0, "the start"), (1, "1 signature"), (many, "many signatures")] {
        match signatures {
            0 => {}
            1 => sign(&service, &token, 0),
            count => sign_many(&service, &token, count),
        }
        let (hits, read) = search(service.id(), &scanner, true);
        println!("after {what} ({signatures}), idle: {} hits in {read} bytes", hits.values().sum::<usize>());
        assert!(hits.is_empty(), "after {what}: {hits:?}");
    }

    let core = installation.data().with_file_name("gcore");
    let dumped = gcore(service.id(), &core);
    match dumped {
        Ok(output) if output.status.success() => {
            let (hits, read) = scanner.file(&core.with_file_name(format!("gcore.{}", service.id())));
            println!("gcore: {} hits in {read} bytes", hits.values().sum::<usize>());
            assert!(hits.is_empty() && read > 1 << 20, "gcore: {hits:?} in {read} bytes");
        }
        other => {
            assert!(!is_long(), "no core was made: {other:?}");
            println!("no gcore here: {other:?}");
        }
    }

    let [clean, softhsm, signed] = search_under_load(&service, &token, &scanner, snapshots);
    println!(
        "under load, {signed} signatures: {clean} clean snapshots, {softhsm} with bytes in SoftHSM's heap"
    );
    assert!(softhsm * 4 <= snapshots, "more than a call's own time explains");
    let (hits, _) = search(service.id(), &scanner, true);
    assert!(hits.is_empty(), "after the load: {hits:?}");

    // What is there is found: the text of a scalar that comes in with a request which never ends.
    let mut client = TcpStream::connect(service.address).unwrap();
    write!(client, "GET /healthz HTTP/1.1\r\nX-Planted: {}\r\n", hex::encode(scalars[0])).unwrap();
    let end = Instant::now() + Duration::from_secs(3);
    while search(service.id(), &scanner, false).0.is_empty() {
        assert!(Instant::now() < end, "a planted scalar was not found");
    }
    println!("control: the planted scalar was found");
    drop((client, service));

    let service = installation.serve();
    sign_many(&service, &token, 100);
    kill_process(Pid::from_raw(service.id().cast_signed()).unwrap(), Signal::ABORT).unwrap();
    assert!(service.wait().code().is_none());
    let beside =
        fs::read_dir(installation.data().parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name());
    let cores = beside.filter(|name| name.to_string_lossy().starts_with("core")).count();
    assert_eq!(cores, 0, "an abort left a core file");

    let service = installation.serve();
    sign_many(&service, &token, 100);
    let core = installation.data().with_file_name("aborted");
    abort_core(service, &core);
    if core.exists() {
        let (hits, read) = scanner.file(&core);
        println!("abort core: {} hits in {read} bytes", hits.values().sum::<usize>());
        assert!(hits.is_empty() && read > 1 << 20, "abort core: {hits:?} in {read} bytes");
    } else {
        assert!(!is_long(), "no abort core was made: is gdb installed?");
        println!("no gdb here");
    }

    let mut ordinary = child_of("an_ordinary_program", &installation)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the ordinary program multiplies", || installation.data().join("ready").exists());
    let found = (0..snapshots).filter(|_| !search(ordinary.id(), &scanner, false).0.is_empty()).count();
    ordinary.kill().unwrap();
    ordinary.wait().unwrap();
    println!("control: found in {found} of {snapshots} snapshots of a plain arkworks implementation");
    assert_eq!(found, snapshots);
    Guarantee::Residue.shown();
}
