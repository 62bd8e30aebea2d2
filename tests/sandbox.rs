//! What the sandbox refuses: each thing is tried by a process of its own that has closed it over itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::exit,
    clippy::print_stdout,
    reason = "a failing test should panic; the child answers by its exit code"
)]

use std::fs::File;
use std::io::Read;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;

use avs_kms::sandbox::{Profile, Sandbox};

const SIGABRT: i32 = 6;
const SIGSYS: i32 = 31;

/// What became of the try.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Done,
    Refused,
    Killed(i32),
}

/// Tries `what` in a child that runs only the test of that name, under a profile.
fn end_of(what: &str, profile: &str, inside: &Path, connect: &str) -> End {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_child", "--nocapture", "--ignored", "--test-threads=1"])
        .env("SANDBOX_TRY", what)
        .env("SANDBOX_PROFILE", profile)
        .env("SANDBOX_INSIDE", inside)
        .env("SANDBOX_CONNECT", connect)
        .output()
        .unwrap();
    match (output.status.code(), output.status.signal()) {
        (Some(100), _) => End::Done,
        (Some(101), _) => panic!("{what}: {}", String::from_utf8_lossy(&output.stderr)),
        (Some(102), _) => End::Refused,
        (_, Some(signal)) => End::Killed(signal),
        _ => panic!("{what}: {output:?}"),
    }
}

#[test]
#[ignore = "child process of another test"]
fn the_child() {
    let Ok(what) = std::env::var("SANDBOX_TRY") else { return };
    let inside = PathBuf::from(std::env::var_os("SANDBOX_INSIDE").unwrap());
    let connect = std::env::var("SANDBOX_CONNECT").unwrap();
    let profile = match std::env::var("SANDBOX_PROFILE").unwrap().as_str() {
        "softhsm" => Profile::Softhsm,
        "network" => Profile::Network,
        _ => Profile::Off,
    };
    // A thread from before: the filter must reach it, too.
    let (ask, asked) = mpsc::channel::<()>();
    let earlier = std::thread::spawn(move || {
        asked.recv().unwrap();
        UdpSocket::bind("127.0.0.1:0").map(drop)
    });
    let sandbox =
        Sandbox { profile, read: Vec::new(), write: vec![inside.clone()], connect: connect == "yes" };
    sandbox.confine().unwrap().filter().unwrap();
    let tried = attempt(&what, &inside, &connect, move || {
        ask.send(()).unwrap();
        earlier.join().unwrap()
    });
    println!("{what}: {tried:?}");
    std::process::exit(if tried.is_ok() { 100 } else { 102 });
}

fn attempt(
    what: &str,
    inside: &Path,
    connect: &str,
    earlier: impl FnOnce() -> std::io::Result<()>,
) -> std::io::Result<()> {
    let parent = nix::unistd::getppid();
    match what {
        "exec" => Err(Command::new("/bin/sh").args(["-c", "exit 100"]).exec()),
        "spawn" => Command::new("/bin/true").status().map(drop),
        "ptrace" => Ok(nix::sys::ptrace::traceme()?),
        "read another process" => {
            let mut bytes = [0; 8];
            let here = [std::io::IoSliceMut::new(&mut bytes)];
            let there = [nix::sys::uio::RemoteIoVec { base: 0x1000, len: 8 }];
            let mut here = here;
            nix::sys::uio::process_vm_readv(parent, &mut here, &there)?;
            Ok(())
        }
        "signal another process" => Ok(nix::sys::signal::kill(parent, None)?),
        "read outside" => File::open("/etc/shadow").map(drop),
        "read the names of users" => File::open("/etc/passwd").map(drop),
        "read its own memory" => File::open("/proc/self/mem").map(drop),
        "write outside" => File::create(inside.with_file_name("outside")).map(drop),
        "write inside" => {
            std::fs::write(inside.join("a"), "text")?;
            std::fs::create_dir(inside.join("d"))?;
            std::fs::rename(inside.join("a"), inside.join("d/b"))?;
            File::open(inside.join("d/b"))?.sync_all()
        }
        "read a library" => File::open("/usr/lib/os-release")?.read(&mut [0]).map(drop),
        "listen" => TcpListener::bind("127.0.0.1:0").map(drop),
        "connect" => TcpStream::connect(std::fs::read_to_string(inside.join("address"))?).map(drop),
        "look up" if connect == "yes" => std::net::ToSocketAddrs::to_socket_addrs("localhost:1").map(drop),
        "a datagram, from an earlier thread" => earlier(),
        "a new thread" => std::thread::spawn(|| ()).join().map_err(|_| std::io::Error::other("it died")),
        "abort" => std::process::abort(),
        other => panic!("{other}"),
    }
}

#[test]
fn what_an_intruder_does_ends_the_process_or_is_refused() {
    let _limit = test_report::TimeLimit::of_this_test();
    let directory = tempfile::tempdir().unwrap();
    let inside = directory.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    std::fs::write(inside.join("address"), listener.local_addr().unwrap().to_string()).unwrap();
    // Softhsm, softhsm with outgoing connections, network; off as the control: each of these can be done.
    use End::{Done, Killed, Refused};
    let table = [
        ("exec", [Killed(SIGSYS), Killed(SIGSYS), Killed(SIGSYS)]),
        ("spawn", [Refused, Refused, Refused]),
        ("ptrace", [Killed(SIGSYS), Killed(SIGSYS), Killed(SIGSYS)]),
        ("read another process", [Killed(SIGSYS), Killed(SIGSYS), Killed(SIGSYS)]),
        ("signal another process", [Refused, Refused, Refused]),
        ("read outside", [Refused, Refused, Refused]),
        // opencryptoki looks its group up.
        ("read the names of users", [Refused, Refused, Done]),
        ("read its own memory", [Refused, Refused, Refused]),
        ("write outside", [Refused, Refused, Refused]),
        ("listen", [Refused, Refused, Refused]),
        ("connect", [Refused, Done, Done]),
        ("a datagram, from an earlier thread", [Refused, Done, Done]),
        ("write inside", [Done, Done, Done]),
        ("read a library", [Done, Done, Done]),
        ("a new thread", [Done, Done, Done]),
        ("abort", [Killed(SIGABRT), Killed(SIGABRT), Killed(SIGABRT)]),
    ];
    for (what, expected) in table {
        for ((profile, connect), expected) in
            [("softhsm", "no"), ("softhsm", "yes"), ("network", "no")].into_iter().zip(expected)
        {
            let _ = std::fs::remove_dir_all(inside.join("d"));
            assert_eq!(end_of(what, profile, &inside, connect), expected, "{what}, {profile}, {connect}");
        }
        if what == "ptrace" {
            continue; // a thread that ends while it is traced waits for its tracer, this process, for ever
        }
        let _ = std::fs::remove_dir_all(inside.join("d"));
        let free = end_of(what, "off", &inside, "no");
        match what {
            "abort" => assert_eq!(free, Killed(SIGABRT)),
            "read another process" => assert_eq!(free, Refused, "nothing is at that address"),
            _ => assert_eq!(free, Done, "{what}: the control cannot do it either"),
        }
    }
    assert_eq!(end_of("look up", "softhsm", &inside, "yes"), Done);
}
