//! An installation in a directory of its own, and the service over it.

pub(crate) mod client;
mod enclave_settings;
pub(crate) mod process;
pub(crate) mod store_file;
pub(crate) mod wallet;
pub(crate) mod with_store;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use test_report::TimeLimit;

use self::client::{Answer, request};

pub(crate) const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// Two addresses in EIP-55 form.
pub(crate) const EOA: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
pub(crate) const OTHER_EOA: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";

/// The program under test: what cargo has built, or another build of it.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("AVS_KMS_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_avs-kms").into(), PathBuf::from)
}

/// Asks again and again for as long as anything here can take.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(40);
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A data directory that `avs-kms init` made.
pub(crate) struct Installation {
    directory: TempDir,
    _limit: TimeLimit,
}

impl Installation {
    pub(crate) fn new() -> Self {
        let installation = Self::empty();
        let output = installation.run(&["init"]);
        assert!(output.status.success(), "init failed: {}", text(&output.stderr));
        installation
    }

    /// One whose wrapped records are in the store, as of a token without data objects.
    pub(crate) fn in_store() -> Self {
        let installation = Self::empty();
        let mut init = installation.command(&["init"]);
        let output = process::output(init.env("AVS_KMS__KEYS__LOCATION", "store"));
        assert!(output.status.success(), "init failed: {}", text(&output.stderr));
        installation
    }

    /// A place where nothing was made yet.
    pub(crate) fn empty() -> Self {
        assert!(Path::new(MODULE).exists(), "SoftHSM is missing: apt-get install --yes softhsm2");
        Self { directory: tempfile::tempdir().unwrap(), _limit: TimeLimit::of_this_test() }
    }

    /// The installation id, as the store names it.
    pub(crate) fn id(&self) -> String {
        let store = rusqlite::Connection::open(self.data().join("store.sqlite")).unwrap();
        let sql = "SELECT lower(hex(installation)) FROM store_head";
        store.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("var")
    }

    /// The program with this installation's data directory.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = process::program(&self.data());
        command
            .args(arguments)
            .env("AVS_KMS__ENCLAVE__WORKERS", "2")
            .env("AVS_KMS__AUTH__ALLOWED_OPERATORS", wallet::operators())
            // Most tests are wrong more often than a client may be.
            .env("AVS_KMS__LIMITS__AUTH_FAILURES_PER_ADDRESS", "0")
            .env("AVS_KMS__LIMITS__SIGNATURE_CHECKS_PER_ADDRESS", "0");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        process::output(&mut self.command(arguments))
    }

    /// Runs a command that must work, and gives its standard output.
    pub(crate) fn must(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?} failed: {}", text(&output.stderr));
        text(&output.stdout).trim_end().to_owned()
    }

    /// A token for every scope of this EOA.
    pub(crate) fn token(&self, eoa: &str) -> String {
        self.token_with(eoa, &["keys:read", "keys:create", "sign:point", "sign:digest", "sign:typed"], "1h")
    }

    pub(crate) fn token_with(&self, eoa: &str, scopes: &[&str], ttl: &str) -> String {
        let mut arguments = vec!["access-token", "issue", "--eoa", eoa, "--ttl", ttl];
        for scope in scopes {
            arguments.extend(["--scope", scope]);
        }
        self.must(&arguments)
    }

    pub(crate) fn serve(&self) -> Running {
        self.serve_with(|_| {})
    }

    /// Starts the service and waits until it says where it listens.
    pub(crate) fn serve_with(&self, change: impl FnOnce(&mut Command)) -> Running {
        let mut command = self.command(&["serve"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        change(&mut command);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(send.send(line))));
        let mut log = Vec::new();
        let mut health = None;
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let wait = deadline.saturating_duration_since(Instant::now());
            match receive.recv_timeout(wait) {
                Ok(line) => {
                    let after = |words| line.split(words).nth(1).map(|rest| rest.trim().parse().unwrap());
                    let address = after("listening on http://").or_else(|| after("listening on https://"));
                    health = after("health endpoint at http://").or(health);
                    log.push(line);
                    if let Some(address) = address {
                        let (start, log) = (log.join("\n"), Mutex::new(receive));
                        return Running { child, address, health, start, log };
                    }
                }
                Err(error) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    panic!("the service did not start ({error}):\n{}", log.join("\n"));
                }
            }
        }
    }

    /// The records of the audit log, oldest first.
    pub(crate) fn records(&self) -> Vec<Value> {
        let lines = self.must(&["audit", "tail", "-n", "100000"]);
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The records of an operation: intents, events, and the outcomes of those intents, which name the intent alone.
    pub(crate) fn records_of(&self, operation: &str) -> Vec<Value> {
        let mut records = self.records();
        let is_of = |record: &Value| record["op"] == operation;
        let intents: Vec<_> = records.iter().filter(|it| is_of(it)).map(|it| it["seq"].clone()).collect();
        records.retain(|record| is_of(record) || intents.contains(&record["intent"]));
        records
    }
}

/// The service, running.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
    /// The listener of health alone.
    pub(crate) health: Option<SocketAddr>,
    /// What it said until it listened.
    pub(crate) start: String,
    log: Mutex<mpsc::Receiver<String>>,
}

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: no goodbye.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for an end that was asked for in another way.
    pub(crate) fn wait(mut self) -> std::process::ExitStatus {
        process::wait(&mut self.child)
    }

    /// SIGTERM; gives the exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        process::wait(&mut self.child).code()
    }

    /// SIGHUP.
    pub(crate) fn reload(&self) {
        kill_process(Pid::from_child(&self.child), Signal::HUP).unwrap();
    }

    /// What the service has said since it listens.
    pub(crate) fn log(&self) -> String {
        let lines: Vec<_> = self.log.lock().unwrap().try_iter().collect();
        lines.join("\n")
    }

    pub(crate) fn get(&self, path: &str, token: Option<&str>) -> Answer {
        self.send(&request("GET", path, token, None))
    }

    pub(crate) fn post(&self, path: &str, token: Option<&str>, body: &Value) -> Answer {
        self.send(&request("POST", path, token, Some(&body.to_string())))
    }

    /// Sends bytes as they are and reads the whole answer.
    pub(crate) fn send(&self, bytes: &[u8]) -> Answer {
        client::send(self.address, bytes).expect("no answer")
    }

    pub(crate) fn create(&self, token: &str, eoa: &str, name: &str) -> Value {
        let answer = self.post("/v1/keys", Some(token), &json!({"eoa": eoa, "name": name}));
        assert!(matches!(answer.status, 200 | 201), "{answer:?}");
        answer.body
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says something that libtest does not keep for itself.
pub(crate) fn say(sentence: &str) {
    let _ = writeln!(std::io::stderr(), "{sentence}");
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn bytes<const N: usize>(value: &Value) -> [u8; N] {
    let text = value.as_str().unwrap().strip_prefix("0x").unwrap();
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).unwrap();
    bytes
}

pub(crate) fn g1(value: &Value) -> hsm::G1Point {
    hsm::G1Point::from_coordinates(&bytes(&value["x"]), &bytes(&value["y"])).unwrap()
}

pub(crate) fn g2(value: &Value) -> hsm::G2Point {
    let (x, y) = (&value["x"], &value["y"]);
    let x = [bytes(&x[0]), bytes(&x[1])];
    let y = [bytes(&y[0]), bytes(&y[1])];
    hsm::G2Point::from_coordinates([&x[0], &x[1]], [&y[0], &y[1]]).unwrap()
}

pub(crate) fn point(point: &hsm::G1Point) -> Value {
    json!({"x": format!("0x{}", hex::encode(point.x())), "y": format!("0x{}", hex::encode(point.y()))})
}
