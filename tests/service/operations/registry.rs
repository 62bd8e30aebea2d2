//! `chain.rpc_url`: a registration is signed only if the registry contract checks the same digest.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use avs_kms::eigenlayer::{self, KeyRegistration, PubkeyRegistration};
use avs_kms::key::Eoa;
use serde_json::{Value, json};

use crate::support::{EOA, Installation, OTHER_EOA, Running, bytes};

const CONTRACT: &str = "0x54f4bC6bDEbe479173a2bbDc31dD7178408A57A4";
const CHAIN_ID: u64 = 17_000;

/// A node that answers `eth_chainId` and `eth_call` as told, and keeps what it was asked.
struct Node {
    url: String,
    script: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    chain_id: Value,
    call: Value,
    asked: Vec<Value>,
}

impl Node {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v3/the-api-key", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(Script {
            chain_id: json!({"result": format!("{CHAIN_ID:#x}")}),
            call: json!({"result": "0x"}),
            asked: Vec::new(),
        }));
        let shared = Arc::clone(&script);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut stream = BufReader::new(stream);
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    if stream.read_line(&mut line).unwrap_or(0) <= 2 {
                        break;
                    }
                    if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                        length = value.trim().parse().unwrap();
                    }
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                let request: Value = serde_json::from_slice(&body).unwrap();
                let answer = {
                    let mut script = shared.lock().unwrap();
                    let id = request["method"] == "eth_chainId";
                    script.asked.push(request);
                    if id { script.chain_id.clone() } else { script.call.clone() }
                };
                let text = answer.as_str().map_or_else(|| answer.to_string(), str::to_owned);
                let head =
                    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", text.len());
                let _ = stream.get_mut().write_all((head + &text).as_bytes());
            }
        });
        Self { url, script }
    }

    fn says(&self, call: Value) {
        self.script.lock().unwrap().call = call;
    }

    fn asked(&self) -> Vec<Value> {
        std::mem::take(&mut self.script.lock().unwrap().asked)
    }
}

fn serve(installation: &Installation, url: &str) -> Running {
    installation.serve_with(|command| {
        command.env("AVS_KMS__CHAIN__RPC_URL", url).env("AVS_KMS__CHAIN__TIMEOUT", "500ms");
    })
}

fn address(text: &str) -> [u8; 20] {
    *text.parse::<Eoa>().unwrap().as_bytes()
}

fn hex0x(bytes: &[u8]) -> Value {
    json!({"result": format!("0x{}", hex::encode(bytes))})
}

fn coordinator_body() -> Value {
    json!({"eoa": EOA, "chain_id": CHAIN_ID, "registry": "bls_apk_registry", "verifying_contract": CONTRACT})
}

fn registrar_body() -> Value {
    json!({
        "eoa": EOA, "chain_id": CHAIN_ID, "registry": "key_registrar", "verifying_contract": CONTRACT,
        "avs": OTHER_EOA, "operator_set_id": 7,
    })
}

fn coordinator_point(operator: &str) -> [u8; 64] {
    let registration = PubkeyRegistration {
        chain_id: CHAIN_ID,
        registry_coordinator: address(CONTRACT),
        operator: address(operator),
    };
    eigenlayer::hash_to_g1(&registration.digest()).to_bytes()
}

fn registrar_digest(key: &Value, version: &str) -> [u8; 32] {
    let registration = KeyRegistration {
        chain_id: CHAIN_ID,
        key_registrar: address(CONTRACT),
        version,
        operator: address(EOA),
        avs: address(OTHER_EOA),
        operator_set_id: 7,
        key_data: &bytes::<192>(&key["key_data"]),
    };
    registration.digest()
}

#[test]
fn a_registration_is_signed_where_the_registry_says_the_same() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let node = Node::new();
    let service = serve(&installation, &node.url);
    let key = service.create(&token, EOA, "default");
    let sign = |body: Value| service.post("/v1/sign/registration", Some(&token), &body);

    node.says(hex0x(&coordinator_point(EOA)));
    assert_eq!(sign(coordinator_body()).status, 200);
    let asked = node.asked();
    let (call, operator) = (&asked[1]["params"][0], &EOA.to_lowercase()[2..]);
    assert_eq!((asked.len(), &asked[0]["method"]), (2, &json!("eth_chainId")));
    assert_eq!(
        (&call["to"], &call["data"]),
        (&json!(CONTRACT), &json!(format!("0x3c2a7f4c{operator:0>64}")))
    );

    node.says(hex0x(&registrar_digest(&key, eigenlayer::KEY_REGISTRAR_VERSION)));
    assert_eq!(sign(registrar_body()).status, 200);
    let data = node.asked()[1]["params"][0]["data"].as_str().unwrap().to_owned();
    assert!(
        data.starts_with("0x7690e395") && data.ends_with(&key["key_data"].as_str().unwrap()[2..]),
        "{data}"
    );

    // What no registry defines is not asked about.
    for (path, body) in [
        ("/v1/sign/digest", json!({"eoa": EOA, "digest": "01".repeat(32)})),
        (
            "/v1/sign/certificate",
            json!({"eoa": EOA, "reference_timestamp": 1, "message_hash": "01".repeat(32)}),
        ),
        ("/v1/scalar_mul", json!({"eoa": EOA, "hash": format!("{:064x}{:064x}", 1, 2)})),
    ] {
        assert_eq!(service.post(path, Some(&token), &body).status, 200);
    }
    assert_eq!(node.asked(), Vec::<Value>::new());
}

#[test]
fn a_registry_that_says_otherwise_gets_no_signature_and_the_refusal_is_recorded() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let node = Node::new();
    let service = serve(&installation, &node.url);
    let key = service.create(&token, EOA, "default");
    let sign = |body: &Value| service.post("/v1/sign/registration", Some(&token), body);
    let mut refused = 0;
    for (body, said) in [
        (coordinator_body(), hex0x(&coordinator_point(OTHER_EOA))),
        (coordinator_body(), hex0x(&[0; 64])),
        (coordinator_body(), hex0x(&coordinator_point(EOA)[..32])),
        (coordinator_body(), hex0x(&[0; 65])),
        (registrar_body(), hex0x(&registrar_digest(&key, "2"))),
        (registrar_body(), hex0x(&[0; 32])),
        (registrar_body(), hex0x(&coordinator_point(EOA))),
        // No contract, no such function, in the words of three nodes.
        (registrar_body(), json!({"result": "0x"})),
        (coordinator_body(), json!({"error": {"code": 3, "message": "execution reverted"}})),
        (coordinator_body(), json!({"error": {"code": -32000, "message": "execution Reverted"}})),
        (coordinator_body(), json!({"error": {"code": -32015, "message": "VM execution error."}})),
    ] {
        node.says(said.clone());
        let answer = sign(&body);
        assert_eq!(answer.code(), (409, "registry_mismatch"), "{said}");
        assert_eq!(answer.body["field"], "verifying_contract", "{said}");
        refused += 1;
    }
    // The right answer on the wrong chain.
    node.says(hex0x(&coordinator_point(EOA)));
    node.script.lock().unwrap().chain_id = json!({"result": "0x1"});
    let answer = sign(&coordinator_body());
    assert_eq!((answer.code(), &answer.body["field"]), ((409, "registry_mismatch"), &json!("chain_id")));
    assert!(answer.body["error"].as_str().unwrap().contains("on chain 1;"), "{answer:?}");
    refused += 1;

    service.stop();
    let records = installation.records_of("sign.registration");
    assert_eq!(records.len(), refused);
    for record in records {
        assert_eq!(
            (&record["kind"], &record["code"]),
            (&json!("event"), &json!("registry_mismatch")),
            "{record}"
        );
        assert!(record.to_string().contains(CONTRACT), "{record}");
    }
}

#[test]
fn a_node_that_is_away_or_talks_nonsense_stops_registrations_alone_and_keeps_its_key_to_itself() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let node = Node::new();
    let service = serve(&installation, &node.url);
    service.create(&token, EOA, "default");
    let limit = json!({"error": {"code": -32005, "message": "rate limit"}});
    for said in [limit, json!("<html>"), json!({}), json!({"result": "0xzz"}), json!({"result": 1})] {
        node.says(said.clone());
        let answer = service.post("/v1/sign/registration", Some(&token), &coordinator_body());
        assert_eq!(answer.code(), (503, "rpc_unavailable"), "{said}");
        assert!(!answer.raw.contains("api-key") && !answer.raw.contains("rate limit"), "{answer:?}");
    }
    assert!(!service.log().contains("api-key"));
    service.stop();

    // A server that accepts and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let service = serve(&installation, &format!("http://{}", silent.local_addr().unwrap()));
    let begun = Instant::now();
    let answer = service.post("/v1/sign/registration", Some(&token), &coordinator_body());
    assert_eq!(answer.code(), (503, "rpc_unavailable"));
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    let digest = json!({"eoa": EOA, "digest": "01".repeat(32)});
    assert_eq!(service.post("/v1/sign/digest", Some(&token), &digest).status, 200);
}
