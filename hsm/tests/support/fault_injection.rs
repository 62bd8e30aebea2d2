//! The enclave behind the fault-injecting module, and the questions every fault must answer.
#![allow(dead_code, unreachable_pub)] // each test binary uses its part

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use hsm::*;

use super::rows::Outcome;
use super::support::*;
use test_report::fault_injection_module;

pub struct Bench {
    pub fixture: Fixture,
    pub enclave: Option<Enclave>,
    pub settings: Settings,
    pub keys: [(KeyId, PublicKey); 2],
    created: Vec<KeyId>,
}

/// Answers by kind.
pub type Tally = BTreeMap<String, usize>;

impl Bench {
    pub fn new(fixture: Fixture) -> Self {
        Self::with(fixture, FaultCheck::Linear)
    }

    pub fn with(fixture: Fixture, fault_check: FaultCheck) -> Self {
        Self::under(fixture, fault_check, SchemeChoice::Auto)
    }

    pub fn under(fixture: Fixture, fault_check: FaultCheck, scheme: SchemeChoice) -> Self {
        let settings = Settings { scheme, fault_check, ..fixture.settings() };
        Self::over(fixture, settings)
    }

    /// With the wrapped records in a directory.
    pub fn in_store(fixture: Fixture) -> Self {
        let records = Some(Directory::new(fixture.directory.join("records")) as _);
        let settings = Settings { location: LocationChoice::Store, records, ..fixture.settings() };
        Self::over(fixture, settings)
    }

    fn over(fixture: Fixture, settings: Settings) -> Self {
        make_softhsm_token(&fixture.plan()).unwrap();
        Enclave::initialise(&settings).unwrap();
        let canary_interval = Duration::from_secs(3600);
        let module = fault_injection_module(&fixture.directory);
        let settings = Settings { module, canary_interval, scheme: SchemeChoice::Auto, ..settings };
        let enclave = Enclave::open(settings.clone()).unwrap();
        let keys = [1, 2].map(|owner| {
            let key = new_key(owner);
            (key.id, create(&enclave, key))
        });
        let created = keys.iter().map(|(id, _)| *id).collect();
        Self { fixture, enclave: Some(enclave), settings, keys, created }
    }

    pub fn enclave(&self) -> &Enclave {
        self.enclave.as_ref().unwrap()
    }

    pub fn rules(&self, text: &str) {
        // A new name each time: two contents within one clock tick would look the same.
        let path = self.fixture.directory.join("rules.new");
        std::fs::write(&path, text).unwrap();
        std::fs::rename(path, self.fixture.directory.join("rules")).unwrap();
    }

    pub fn reopen(&mut self) {
        self.rules("");
        if let Some(enclave) = self.enclave.take() {
            enclave.close();
        }
        self.enclave = Some(Enclave::open(self.settings.clone()).unwrap());
    }

    /// Signs with both keys in turn and creates once in between; every success is checked.
    pub fn load(&mut self, rounds: usize) -> Tally {
        let mut tally = Tally::new();
        for round in 0..rounds {
            let (id, key) = self.keys[round % 2];
            let begun = Instant::now();
            let deadline = begun + Duration::from_millis(1500);
            let answer = run(self.enclave().scalar_mul(id, G1Point::generator(), deadline));
            assert!(begun.elapsed() < Duration::from_secs(10), "an answer after {:?}", begun.elapsed());
            if let Ok(product) = &answer {
                assert_eq!(*product, key.g1, "a wrong signature left");
            }
            *tally.entry(kind("sign", &answer)).or_default() += 1;
            if round == rounds / 2 {
                let key = new_key(3);
                let answer = run(self.enclave().create(key, Instant::now() + Duration::from_secs(5)));
                if answer.is_ok() {
                    self.created.push(key.id);
                }
                *tally.entry(kind("create", &answer)).or_default() += 1;
            }
        }
        tally
    }

    /// Runs one row of the table and gives its line.
    pub fn row(&mut self, name: &str, rules: &str, expected: Outcome) -> String {
        let _ = std::fs::remove_file(self.log());
        self.rules(rules);
        let tally = self.load(6);
        let failures: usize = tally.iter().filter(|(kind, _)| !kind.ends_with(" ok")).map(|(_, n)| n).sum();
        match expected {
            Outcome::Serves => assert_eq!(failures, 0, "{name}: {tally:?}"),
            Outcome::Recovers => assert!(!tally.contains_key("sign KeyUnreadable"), "{name}: {tally:?}"),
            Outcome::Unreadable => assert!(tally.contains_key("sign KeyUnreadable"), "{name}: {tally:?}"),
            Outcome::Stops => {
                let state = self.enclave().health().token;
                assert!(matches!(state, TokenState::Stopped { .. }), "{name}: {state:?} {tally:?}");
            }
        }
        // A recovery of the connection tries unreadable keys again.
        let reconnect = "C_DecryptInit rv=0x190 times=1\nC_SignInit rv=0x190 times=1";
        self.rules(if expected == Outcome::Unreadable { reconnect } else { "" });
        let begun = Instant::now();
        let back = match expected {
            Outcome::Serves | Outcome::Recovers | Outcome::Unreadable => loop {
                let after = self.load(2);
                if after.keys().all(|kind| kind.ends_with(" ok")) {
                    break Some(begun.elapsed());
                }
                assert!(begun.elapsed() < Duration::from_secs(10), "{name}: not back: {after:?}");
                std::thread::sleep(Duration::from_millis(10));
            },
            Outcome::Stops => {
                let after = self.load(2);
                assert!(!after.keys().all(|kind| kind.ends_with(" ok")), "{name}: {after:?}");
                self.reopen();
                None
            }
        };
        let listed: Vec<_> = self.enclave().keys().iter().map(|entry| entry.id).collect();
        assert!(self.created.iter().all(|id| listed.contains(id)), "{name}: a reported key is lost");
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        assert!(!log.contains("VIOLATION"), "{name}: {log}");
        let back = back.map_or("after restart".into(), |back| format!("{} ms", back.as_millis()));
        format!("| {name} | {expected:?} | {tally:?} | {back} |")
    }

    pub fn log(&self) -> PathBuf {
        self.fixture.directory.join("module.log")
    }

    /// Everything that was reported is there after a restart; the last close left no session open.
    pub fn finish(mut self) {
        self.reopen();
        let listed: Vec<_> = self.enclave().keys().iter().map(|entry| entry.id).collect();
        assert!(self.created.iter().all(|id| listed.contains(id)), "a reported key is lost");
        for entry in self.enclave().keys() {
            assert!(signs(self.enclave(), entry.id, &entry.public_key));
        }
        if let Some(enclave) = self.enclave.take() {
            enclave.close();
        }
        let log = std::fs::read_to_string(self.log()).unwrap();
        let last = log.lines().last().unwrap();
        assert!(last.starts_with("FINALIZE logins=1 open=0 "), "{log}");
    }
}

fn kind<T>(what: &str, answer: &Result<T, EnclaveError>) -> String {
    let kind = match answer {
        Ok(_) => "ok",
        Err(EnclaveError::Overloaded) => "Overloaded",
        Err(EnclaveError::DeadlineExceeded) => "DeadlineExceeded",
        Err(EnclaveError::UnknownKey) => "UnknownKey",
        Err(EnclaveError::KeyExists) => "KeyExists",
        Err(EnclaveError::TokenUnavailable { .. }) => "TokenUnavailable",
        Err(EnclaveError::KeyUnreadable) => "KeyUnreadable",
        Err(EnclaveError::TokenFull { .. }) => "TokenFull",
        Err(EnclaveError::FaultDetected) => "FaultDetected",
        Err(EnclaveError::ShuttingDown) => "ShuttingDown",
        Err(EnclaveError::Records(_)) => "Records",
        Err(EnclaveError::Internal(_)) => "Internal",
    };
    assert!(!matches!(answer, Err(EnclaveError::Internal(_) | EnclaveError::UnknownKey)), "{what} {kind}");
    format!("{what} {kind}")
}
