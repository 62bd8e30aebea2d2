//! The whole service over a PKCS#11 module that injects faults by rule file: for every row no wrong signature, no lost key,
//! no hang, a clear answer, and recovery where recovery is possible.
#![allow(clippy::print_stdout, reason = "the table is the result")]

#[path = "../../../hsm/tests/support/rows.rs"]
mod rows;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{EOA, Installation, Running, g1, point};
use rows::Outcome;

/// What a client may meet while the token fails, beside right answers.
const CLEAR: [&str; 5] =
    ["503 hsm_unavailable", "503 overloaded", "504 deadline_exceeded", "500 key_unreadable", "507 hsm_full"];
const DEADLINE: Duration = Duration::from_secs(2);

type Tally = BTreeMap<String, usize>;

pub(crate) struct Bench {
    pub(crate) installation: Installation,
    pub(crate) service: Option<Running>,
    pub(crate) token: String,
    /// By name; all that were ever reported as made.
    keys: BTreeMap<String, Value>,
    /// Settings beside the usual ones.
    settings: Vec<(&'static str, &'static str)>,
}

impl Bench {
    fn new() -> Self {
        Self::with(&[])
    }

    pub(crate) fn with(settings: &[(&'static str, &'static str)]) -> Self {
        let installation = Installation::new();
        let token = installation.token(EOA);
        fs::create_dir(installation.data().join("shim")).unwrap();
        let mut bench =
            Self { installation, service: None, token, keys: BTreeMap::new(), settings: settings.to_vec() };
        bench.start();
        for name in ["one", "two"] {
            assert_eq!(bench.create(name), "201");
        }
        bench
    }

    fn file(&self, name: &str) -> PathBuf {
        self.installation.data().join("shim").join(name)
    }

    fn environment(&self, command: &mut Command) {
        let module = test_report::fault_injection_module(&self.installation.data().join("shim"));
        command
            .env("AVS_KMS__PKCS11__MODULE", module)
            .env("AVS_KMS__PKCS11__SOFTHSM_CONF", self.installation.data().join("token/softhsm2.conf"))
            .env("AVS_KMS__SERVER__REQUEST_DEADLINE", format!("{}s", DEADLINE.as_secs()))
            .env("AVS_KMS__LIMITS__KEYS_PER_EOA", "100000")
            .env("AVS_KMS__ENCLAVE__CANARY_INTERVAL", "1h") // it would take the faults that are meant for a request
            .env("HSM_FAULTS_RULES", self.file("rules"))
            .env("HSM_FAULTS_LOG", self.file("log"))
            .envs(self.settings.iter().copied());
    }

    fn start(&mut self) {
        let service = self.installation.serve_with(|command| self.environment(command));
        assert!(service.start.contains("profile network"), "{}", service.start);
        self.service = Some(service);
    }

    /// Stops in order; every session must have been closed, and the PIN presented once.
    pub(crate) fn stop(&mut self) {
        self.rules("");
        assert_eq!(self.service.take().unwrap().stop(), Some(0));
        let log = fs::read_to_string(self.file("log")).unwrap();
        let last = log.lines().last().unwrap();
        assert!(last.starts_with("FINALIZE logins=") && last.contains(" open=0 "), "{log}");
        assert!(!log.contains("VIOLATION"), "{log}");
    }

    pub(crate) fn rules(&self, text: &str) {
        // A new name each time: two contents within one clock tick would look the same.
        fs::write(self.file("rules.new"), text).unwrap();
        fs::rename(self.file("rules.new"), self.file("rules")).unwrap();
    }

    /// The status and, of a refusal, its code; a refusal that is not clear is a failure.
    fn ask(&self, path: &str, body: &Value) -> (String, Value) {
        let begun = Instant::now();
        let answer = self.service.as_ref().unwrap().post(path, Some(&self.token), body);
        let took = begun.elapsed();
        assert!(took < DEADLINE + Duration::from_millis(1500), "{path} was answered after {took:?}");
        let (status, code) = answer.code();
        let text = if status < 300 { status.to_string() } else { format!("{status} {code}") };
        assert!(status < 300 || CLEAR.contains(&&*text), "{path}: {answer:?}");
        (text, answer.body)
    }

    fn create(&mut self, name: &str) -> String {
        let (text, body) = self.ask("/v1/keys", &json!({"eoa": EOA, "name": name}));
        if body["code"].is_null() {
            let key = json!({"g1": body["g1"], "g2": body["g2"]});
            assert!(key["g1"].is_object(), "{body}");
            let before = self.keys.insert(name.to_owned(), key.clone());
            assert!(before.is_none_or(|before| before == key), "another key under the same name");
        }
        text
    }

    fn sign(&self, name: &str) -> String {
        let hash = point(&hsm::G1Point::generator());
        let (text, body) = self.ask("/v1/scalar_mul", &json!({"eoa": EOA, "name": name, "hash": hash}));
        if body["code"].is_null() {
            assert_eq!(g1(&body["signature"]), g1(&self.keys[name]["g1"]), "a wrong signature left");
        }
        text
    }

    fn load(&mut self, rounds: usize, new: &str) -> Tally {
        let mut tally = Tally::new();
        for round in 0..rounds {
            let answer = self.sign(["one", "two"][round % 2]);
            *tally.entry(format!("sign {answer}")).or_default() += 1;
            if round == rounds / 2 {
                let answer = self.create(new);
                *tally.entry(format!("create {answer}")).or_default() += 1;
            }
        }
        tally
    }

    fn all_is_well(tally: &Tally) -> bool {
        tally.keys().all(|answer| answer.ends_with(" 200") || answer.ends_with(" 201"))
    }

    fn row(&mut self, number: usize, name: &str, rules: &str, expected: Outcome) {
        let _ = fs::remove_file(self.file("log"));
        self.rules(rules);
        let during = self.load(6, &format!("row-{number}"));
        if expected == Outcome::Serves {
            assert!(Self::all_is_well(&during), "{name}: {during:?}");
        }
        let unreadable = during.contains_key("sign 500 key_unreadable");
        assert_eq!(unreadable, expected == Outcome::Unreadable, "{name}: {during:?}");
        // A recovery of the connection tries unreadable keys again.
        self.rules(if unreadable { "C_DecryptInit rv=0x190 times=1" } else { "" });
        let begun = Instant::now();
        let back = match expected {
            Outcome::Serves | Outcome::Recovers | Outcome::Unreadable => {
                loop {
                    let after = self.load(2, &format!("row-{number}"));
                    if Self::all_is_well(&after) {
                        break;
                    }
                    assert!(begun.elapsed() < Duration::from_secs(10), "{name}: not back: {after:?}");
                    std::thread::sleep(Duration::from_millis(10));
                }
                format!("{} ms", begun.elapsed().as_millis())
            }
            Outcome::Stops => {
                let after = self.load(2, &format!("row-{number}"));
                assert!(!Self::all_is_well(&after), "{name}: {after:?}");
                assert_eq!(self.service.as_ref().unwrap().get("/readyz", None).status, 503, "{name}");
                let log = fs::read_to_string(self.file("log")).unwrap_or_default();
                assert!(!log.contains("logins=2"), "{name}: the PIN was tried again: {log}");
                self.stop();
                // A refused PIN is presented again only by an operator.
                if self.installation.data().join("pin-refused").exists() {
                    let mut command = self.installation.command(&["doctor", "--try-pin"]);
                    self.environment(&mut command);
                    let status = crate::support::process::output(&mut command).status.code();
                    assert!(matches!(status, Some(0 | 3)), "{name}: {status:?}");
                }
                self.start();
                assert!(Self::all_is_well(&self.load(2, &format!("row-{number}"))), "{name}");
                "after a restart".to_owned()
            }
        };
        let log = fs::read_to_string(self.file("log")).unwrap_or_default();
        assert!(!log.contains("VIOLATION"), "{name}: {log}");
        println!("| {name} | {expected:?} | {during:?} | {back} |");
    }

    /// Every key that was reported is there after a restart, listed, and signs.
    fn finish(mut self) {
        self.stop();
        self.start();
        for name in self.keys.keys() {
            assert_eq!(self.sign(name), "200", "{name} is lost");
        }
        let listed = self.installation.must(&["--json", "keys", "list", "--eoa", EOA]);
        assert!(self.keys.keys().all(|name| listed.contains(&format!("\"{name}\""))), "{listed}");
        self.stop();
        let lines = fs::read_to_string(self.file("log")).unwrap();
        assert!(lines.lines().last().unwrap().starts_with("FINALIZE logins=1 open=0 "), "{lines}");
        self.installation.must(&["audit", "verify"]);
    }
}

fn table<'a>(rows: impl IntoIterator<Item = (&'a str, &'a str, Outcome)>) {
    let mut bench = Bench::new();
    for (number, (name, rules, outcome)) in rows.into_iter().enumerate() {
        bench.row(number, name, rules, outcome);
    }
    bench.finish();
}

#[test]
fn every_code_at_every_call() {
    let rows: Vec<_> = rows::CALLS.iter().flat_map(|call| rows::matrix(call)).collect();
    table(rows.iter().map(|(name, rules, outcome)| (name.as_str(), rules.as_str(), *outcome)));
}

#[test]
fn invalid_sessions_and_wrong_results() {
    table([rows::SESSIONS, rows::WRONG_ANSWERS].concat());
}

#[test]
fn creations_pins_and_slowness() {
    table([rows::CREATIONS, rows::PINS, rows::SLOW].concat());
}

/// A call that never comes back is answered at the deadline, spares take over, and the circuit opens when they are used up.
#[test]
fn calls_that_hang_are_answered_and_replaced() {
    let bench = Bench::new();
    bench.rules("C_Decrypt hang times=1");
    let first = bench.sign("one");
    assert_eq!(first, "504 deadline_exceeded");
    assert_eq!(bench.sign("one"), "200", "no spare worker took over");
    bench.rules("C_Decrypt hang");
    let mut refusals = Tally::new();
    let end = Instant::now() + Duration::from_secs(40);
    loop {
        let begun = Instant::now();
        let answer = bench.sign("two");
        *refusals.entry(answer.clone()).or_default() += 1;
        if answer == "503 hsm_unavailable" && begun.elapsed() < Duration::from_secs(1) {
            break;
        }
        assert!(Instant::now() < end, "the circuit did not open: {refusals:?}");
    }
    assert!(!refusals.contains_key("200"));
    bench.rules("");
    let begun = Instant::now();
    while bench.sign("two") != "200" {
        assert!(begun.elapsed() < Duration::from_secs(10), "not back");
    }
    println!("| calls hang | {refusals:?} | back after {} ms |", begun.elapsed().as_millis());
    bench.finish();
}
