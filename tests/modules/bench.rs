//! An installation over the token of a row, the service over it, and its client. Not for the steps: `walk`.

#![allow(clippy::print_stdout, reason = "a row that fails shows what the service said")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use ark_bn254::{Fq, Fr, G1Affine};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{BigInteger, PrimeField};
use hsm::G1Point;
use serde_json::json;

use crate::row::{Recipe, Row, WORKERS};
use crate::support::client::{self, Answer};
use crate::support::{EOA, Installation, Running, g1, point, process, text};
use crate::token::Token;

/// The token of a row and what runs over it.
pub(crate) struct Bench {
    pub(crate) row: &'static Row,
    pub(crate) installation: Installation,
    pub(crate) token: Token,
    pub(crate) service: Option<Running>,
    access: String,
    /// The public keys of all that were reported as made, by name.
    pub(crate) keys: BTreeMap<String, G1Affine>,
}

impl Bench {
    pub(crate) fn new(row: &'static Row) -> Self {
        let installation = Installation::empty();
        let data = installation.data();
        let token = Token::make(row, data.parent().unwrap(), &data);
        let bench =
            Self { row, installation, token, service: None, access: String::new(), keys: BTreeMap::new() };
        bench.rules("");
        bench
    }

    /// The directory of this row, above the data directory.
    pub(crate) fn place(&self) -> PathBuf {
        self.installation.data().parent().unwrap().to_owned()
    }

    /// What the fault-injecting module does beside emulating the device. A flaky one falls ill once the service runs.
    pub(crate) fn rules(&self, more: &str) {
        // A new name each time: two contents within one clock tick would look the same.
        let new = self.place().join("rules.new");
        let device =
            self.token.rules.filter(|_| !self.row.flaky || self.service.is_some()).unwrap_or_default();
        fs::write(&new, format!("{more}\n{device}\n")).unwrap();
        fs::rename(new, self.place().join("rules")).unwrap();
    }

    /// The program over the token as it is.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.installation.command(arguments);
        self.configure(&mut command);
        command
    }

    fn configure(&self, command: &mut Command) {
        let workers = if self.row.slow.is_some() { WORKERS } else { 2 };
        command
            .envs(self.token.settings.iter().cloned())
            .env("AVS_KMS__ENCLAVE__WORKERS", workers.to_string())
            .env("AVS_KMS__LIMITS__KEYS_PER_EOA", "100000");
        if self.token.rules.is_some() {
            self.observe(command);
        }
    }

    /// Puts the fault-injecting module before the module of the row.
    fn observe(&self, command: &mut Command) {
        let shim = test_report::fault_injection_module(&self.place());
        command
            .env("AVS_KMS__PKCS11__MODULE", shim)
            .env("HSM_FAULTS_MODULE", &self.token.module)
            .env("HSM_FAULTS_RULES", self.place().join("rules"))
            .env("HSM_FAULTS_LOG", self.place().join("log"));
        if self.row.recipe == Recipe::Softhsm {
            command
                .env("AVS_KMS__PKCS11__SOFTHSM_CONF", self.installation.data().join("token/softhsm2.conf"))
                .env("AVS_KMS__SANDBOX__EXTRA_PATHS", self.place());
        }
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

    /// Runs a command behind the fault-injecting module; how it ended, and how often it presented the PIN.
    pub(crate) fn observed(&self, arguments: &[&str]) -> (Output, usize) {
        let log = self.place().join("log");
        let _ = fs::remove_file(&log);
        let mut command = self.command(arguments);
        self.observe(&mut command);
        let output = process::output(&mut command);
        let log = fs::read_to_string(&log).unwrap_or_default();
        let logins = log.lines().filter_map(|line| line.split("logins=").nth(1));
        let logins = logins.filter_map(|rest| rest.split(' ').next()?.parse::<usize>().ok()).max();
        (output, logins.unwrap_or_default())
    }

    pub(crate) fn serve(&mut self) {
        self.rules("");
        self.service = Some(self.installation.serve_with(|command| self.configure(command)));
        self.rules("");
        if self.access.is_empty() {
            let issue = ["access-token", "issue", "--eoa", EOA, "--ttl", "1h"];
            let scopes = ["--scope", "keys:read", "--scope", "keys:create", "--scope", "sign:point"];
            self.access = self.must(&[&issue[..], &scopes].concat());
        }
    }

    /// As [`Self::serve`], behind the fault-injecting module.
    pub(crate) fn serve_observed(&mut self) {
        let configure = |command: &mut Command| {
            self.configure(command);
            self.observe(command);
        };
        self.rules("");
        self.service = Some(self.installation.serve_with(configure));
        self.rules("");
    }

    /// SIGTERM; every session must have been closed.
    pub(crate) fn stop(&mut self) {
        let service = self.service.take().unwrap();
        let status = service.stop();
        assert_eq!(status, Some(0), "the end of the service");
        let log = fs::read_to_string(self.place().join("log")).unwrap_or_default();
        assert!(!log.contains("VIOLATION"), "{log}");
    }

    pub(crate) fn client(&self) -> Client {
        let service = self.service.as_ref().unwrap();
        Client { address: service.address, access: self.access.clone() }
    }

    /// A new key, remembered.
    pub(crate) fn create(&mut self, name: &str) {
        let answer = self.client().create(name).expect("an answer");
        assert!(matches!(answer.status, 200 | 201), "{name}: {answer:?}");
        self.keys.insert(name.to_owned(), affine(&g1(&answer.body["g1"])));
    }

    /// This number of signatures, each compared with what arkworks computes. On a flaky device a client asks again.
    pub(crate) fn signs(&self, name: &str, count: u64) {
        let (client, key) = (self.client(), self.keys[name]);
        for at in 1..=count {
            let mut tries = if self.row.flaky { 8 } else { 1 };
            loop {
                let answer = client.sign(name, at).expect("an answer");
                if answer.status == 200 {
                    assert_eq!(g1(&answer.body["signature"]), expected(key, at), "{name}: signature {at}");
                    break;
                }
                tries -= 1;
                assert!(tries > 0 && answer.status == 503, "{name}: signature {at}: {answer:?}");
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }

    /// How often the service has called the module since it started.
    pub(crate) fn calls(&self) -> f64 {
        let text = self.metrics();
        let counts = text.lines().filter(|line| line.starts_with("avs_kms_pkcs11_call_seconds_count"));
        counts.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    pub(crate) fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(self.service.as_ref().unwrap().health.unwrap()).unwrap();
        stream.write_all(&client::request("GET", "/metrics", None, None)).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        text
    }
}

impl Drop for Bench {
    /// What the service said, where a step failed.
    fn drop(&mut self) {
        if let Some(service) = self.service.as_ref().filter(|_| std::thread::panicking()) {
            println!("the service: {}\n{}", service.start, service.log());
        }
    }
}

/// A client of the service with an access token.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    access: String,
}

impl Client {
    pub(crate) fn create(&self, name: &str) -> Option<Answer> {
        client::post(self.address, "/v1/keys", &self.access, &json!({"eoa": EOA, "name": name}))
    }

    /// Asks for the product with the `at`-th point.
    pub(crate) fn sign(&self, name: &str, at: u64) -> Option<Answer> {
        let hash = point(&encoded((G1Affine::generator() * scalar(at)).into_affine()));
        let body = json!({"eoa": EOA, "name": name, "hash": hash});
        client::post(self.address, "/v1/scalar_mul", &self.access, &body)
    }

    pub(crate) fn ready(&self) -> u16 {
        client::send(self.address, &client::request("GET", "/readyz", None, None)).map_or(0, |it| it.status)
    }
}

/// The discrete logarithm of the `at`-th point.
fn scalar(at: u64) -> Fr {
    Fr::from(at) * Fr::from(0x1234_5678_9abc_def1_u64)
}

/// What the service must answer: the scalar of the point times the public key.
pub(crate) fn expected(key: G1Affine, at: u64) -> G1Point {
    encoded((key * scalar(at)).into_affine())
}

pub(crate) fn affine(point: &G1Point) -> G1Affine {
    let coordinate = |bytes: &[u8; 32]| Fq::from_be_bytes_mod_order(bytes);
    G1Affine::new(coordinate(point.x()), coordinate(point.y()))
}

fn encoded(point: G1Affine) -> G1Point {
    let coordinate = |value: Fq| value.into_bigint().to_bytes_be();
    let bytes = [coordinate(point.x), coordinate(point.y)].concat();
    G1Point::from_bytes(&bytes.try_into().unwrap()).unwrap()
}
