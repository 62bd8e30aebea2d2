//! `make demo`: the main job on real input, step by step.
//!
//! Makes the key of an operator, takes the message point that EigenLayer's `BLSApkRegistry` asks it to sign,
//! multiplies, checks the result as the contract does, and shows the records that this left.
//! With a data directory as argument it uses the service that runs over it; without one it starts its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a demonstration that goes wrong should say so and stop"
)]

#[path = "../tests/service/support/client.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod client;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use avs_kms::eigenlayer::{self, PubkeyRegistration};
use client::Answer;
use hsm::{G1Point, G2Point};
use serde_json::{Value, json};

/// The first account of every local development chain, as operator.
const OPERATOR: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
/// EigenDA's RegistryCoordinator on Ethereum mainnet.
const COORDINATOR: &str = "0x0BAAc79acD45A023E19345c352d8a7a83C4e5656";
const CHAIN_ID: u64 = 1;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let service = match (arguments.next(), arguments.next()) {
        (Some(data), Some(address)) => {
            Service { data: data.into(), address: address.parse().unwrap(), own: None }
        }
        _ => Service::start(),
    };
    let issued = service.command(
        &["access-token", "issue", "--eoa", OPERATOR, "--ttl", "5m"],
        &["keys:create", "sign:point"],
    );
    let token = issued.trim();

    step(1, "create the operator's key: POST /v1/keys");
    let key = service.post("/v1/keys", token, &json!({"eoa": OPERATOR, "name": "demo"}));
    show(&key, &["eoa", "name", "version", "state", "created", "operator_id"]);

    step(2, "the point that the registry asks this operator to sign: hashToG1(EIP-712 digest)");
    let registration = PubkeyRegistration {
        chain_id: CHAIN_ID,
        registry_coordinator: address(COORDINATOR),
        operator: address(OPERATOR),
    };
    let digest = registration.digest();
    let hash = eigenlayer::hash_to_g1(&digest);
    println!("   chain {CHAIN_ID}, coordinator {COORDINATOR}\n   digest 0x{}", hex::encode(digest));
    println!("   H.x    0x{}\n   H.y    0x{}", hex::encode(hash.x()), hex::encode(hash.y()));

    step(3, "multiply it inside the enclave: POST /v1/scalar_mul");
    let point = json!({"x": hex::encode(hash.x()), "y": hex::encode(hash.y())});
    let signed =
        service.post("/v1/scalar_mul", token, &json!({"eoa": OPERATOR, "name": "demo", "hash": point}));
    println!("   sigma.x {}\n   sigma.y {}", signed["signature"]["x"], signed["signature"]["y"]);

    step(4, "check it as the contract does");
    let signature = g1(&signed["signature"]);
    let (pk1, pk2) = (g1(&signed["g1"]), g2(&signed["g2"]));
    check("e(sigma, G2) = e(H, pk)", eigenlayer::verify(&signature, &hash, &pk2));
    check("g1 and g2 belong to one key", eigenlayer::same_key(&pk1, &pk2));
    check("BLSApkRegistry's own equation", eigenlayer::apk_registry_accepts(&signature, &hash, &pk1, &pk2));
    let foreign = eigenlayer::hash_to_g1(&[0; 32]);
    check("and not for another message", !eigenlayer::verify(&signature, &foreign, &pk2));

    step(5, "the records that this left: avs-kms audit tail");
    print!("{}", service.command(&["audit", "tail", "-n", "6"], &[]));
    println!("   receipt: record {} of log {}", signed["audit"]["seq"], signed["audit"]["log"]);
    step(6, "check the whole log: avs-kms audit verify");
    print!("   {}", service.command(&["audit", "verify"], &[]));
}

fn step(number: u8, what: &str) {
    println!("\n{number}. {what}");
}

fn check(what: &str, holds: bool) {
    assert!(holds, "{what}: FAILED");
    println!("   {what}: yes");
}

fn show(value: &Value, members: &[&str]) {
    for member in members {
        println!("   {member:<12} {}", value[member]);
    }
}

fn address(text: &str) -> [u8; 20] {
    *text.parse::<avs_kms::key::Eoa>().unwrap().as_bytes()
}

fn bytes(value: &Value) -> [u8; 32] {
    let mut bytes = [0; 32];
    hex::decode_to_slice(&value.as_str().unwrap()[2..], &mut bytes).unwrap();
    bytes
}

fn g1(value: &Value) -> G1Point {
    G1Point::from_coordinates(&bytes(&value["x"]), &bytes(&value["y"])).unwrap()
}

fn g2(value: &Value) -> G2Point {
    let pair = |value: &Value| [bytes(&value[0]), bytes(&value[1])];
    let (x, y) = (pair(&value["x"]), pair(&value["y"]));
    G2Point::from_coordinates([&x[0], &x[1]], [&y[0], &y[1]]).unwrap()
}

/// A running service and its data directory.
struct Service {
    data: PathBuf,
    address: SocketAddr,
    own: Option<(Child, tempfile::TempDir)>,
}

impl Service {
    /// Makes a data directory in a temporary place and serves on a free port.
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("var");
        println!("starting a service of its own in {}", data.display());
        let made = program(&data).arg("init").output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut child =
            program(&data).args(["serve", "--listen", "127.0.0.1:0"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address =
            lines.find_map(|line| Some(line.split("listening on http://").nth(1)?.trim().parse().unwrap()));
        Self { data, address: address.expect("the service did not start"), own: Some((child, directory)) }
    }

    fn command(&self, arguments: &[&str], scopes: &[&str]) -> String {
        let mut command = program(&self.data);
        command.args(arguments);
        for scope in scopes {
            command.args(["--scope", scope]);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn post(&self, path: &str, token: &str, body: &Value) -> Value {
        let Answer { status, body, .. } = client::post(self.address, path, token, body).expect("no answer");
        assert!(status < 300, "{status} {body}");
        body
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.own {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The program that was built with this example: `target/<profile>/avs-kms` beside `examples/`.
fn program(data: &Path) -> Command {
    let here = std::env::current_exe().unwrap();
    let binary = here.parent().unwrap().parent().unwrap().join("avs-kms");
    let mut command = Command::new(binary);
    command.arg("--data").arg(data).env_remove("SOFTHSM2_CONF");
    // A service on this machine may have the usual address for health.
    command.env("AVS_KMS__SERVER__HEALTH_LISTEN", "");
    command
}
