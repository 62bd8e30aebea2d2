//! Processes that a test starts: none takes a default port, and none is waited for without a limit.

use std::ffi::OsStr;
use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{LazyLock, mpsc};
use std::time::{Duration, Instant};

/// The longest that a command, or the end of a service, may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

/// `server.listen` and `server.health_listen`, where nothing else is set.
pub(crate) const DEFAULT_PORTS: [u16; 2] = [8254, 8255];

/// The program over the data directory `data`, free of what the environment of the developer sets.
pub(crate) fn program(data: &Path) -> Command {
    // From now on a service that is left at a default port does not start, as beside `make run`.
    static TAKEN: LazyLock<Vec<TcpListener>> = LazyLock::new(take_the_default_ports);
    LazyLock::force(&TAKEN);
    let mut command = Command::new(super::program());
    let theirs = std::env::vars_os().map(|(name, _)| name);
    let is_setting = |name: &OsStr| name.to_str().is_some_and(|name| name.starts_with("AVS_KMS_"));
    for name in theirs.filter(|name| is_setting(name)) {
        command.env_remove(name);
    }
    command
        .current_dir(data.parent().unwrap())
        .env_remove("SOFTHSM2_CONF")
        .env("AVS_KMS__DATA__DIRECTORY", data)
        .env("AVS_KMS__SERVER__LISTEN", "127.0.0.1:0")
        .env("AVS_KMS__SERVER__HEALTH_LISTEN", "127.0.0.1:0")
        // The name in the raw requests of the tests.
        .env("AVS_KMS__SERVER__ALLOWED_HOSTS", "t")
        // Small segments, so that each test writes little.
        .env("AVS_KMS__AUDIT__SEGMENT_BYTES", "1048576")
        .stdin(Stdio::null());
    command
}

/// Where a service runs already, or another run of the tests, its listener does the same.
fn take_the_default_ports() -> Vec<TcpListener> {
    DEFAULT_PORTS.iter().filter_map(|port| TcpListener::bind(("127.0.0.1", *port)).ok()).collect()
}

/// Waits for the end of a process that should end now. One that does not is killed, and the test fails.
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            panic!("process {} has not ended after {LIMIT:?}", child.id());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a command to its end and gives what it said.
pub(crate) fn output(command: &mut Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    output_of(child.unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display())))
}

/// Waits for a process whose output is piped, and gives what it said.
pub(crate) fn output_of(mut child: Child) -> Output {
    let stdout = child.stdout.take().map(read);
    let stderr = child.stderr.take().map(read);
    let status = wait(&mut child);
    // A grandchild may hold the other end open.
    let text = |pipe: Option<mpsc::Receiver<Vec<u8>>>| match pipe {
        Some(pipe) => pipe.recv_timeout(LIMIT).expect("the pipe of an ended process stays open"),
        None => Vec::new(),
    };
    Output { status, stdout: text(stdout), stderr: text(stderr) }
}

/// Everything that comes through a pipe, once it is closed.
fn read(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = send.send(bytes);
    });
    receive
}

/// The ignored test `name` of the module `module_path`, as a process of its own: PKCS#11 state is global to a process.
pub(crate) fn child(module_path: &str, name: &str) -> Command {
    let (_, module) = module_path.split_once("::").unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("{module}::{name}"), "--nocapture", "--ignored"]);
    command
}

/// Runs such a child, which must succeed.
pub(crate) fn run_child(command: &mut Command) {
    let output = output(command);
    let said = format!("{}{}", super::text(&output.stdout), super::text(&output.stderr));
    // A misspelt name would run nothing and succeed.
    assert!(output.status.success() && said.contains(" 1 passed;"), "{said}");
}
