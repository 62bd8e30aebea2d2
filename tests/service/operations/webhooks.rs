//! Outbound calls: webhooks to a receiver that fails, and calls to a chain.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{EOA, Installation, OTHER_EOA, Running, process, until};

/// One request as it came.
pub(crate) struct Came {
    pub(crate) head: String,
    pub(crate) body: String,
}

/// A server that answers each request with what `answer` makes of it; gives its URL.
pub(crate) fn server(answer: impl Fn(Came) -> (u16, String) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook?key=secret", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            'one: {
                let (mut head, mut length) = (String::new(), 0);
                while !head.ends_with("\r\n\r\n") {
                    let start = head.len();
                    if stream.read_line(&mut head).unwrap_or(0) == 0 {
                        break;
                    }
                    if let Some(value) = head[start..].to_ascii_lowercase().strip_prefix("content-length: ") {
                        length = value.trim().parse().unwrap();
                    }
                }
                if !head.ends_with("\r\n\r\n") {
                    break 'one;
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                let (status, text) = answer(Came { head, body: String::from_utf8_lossy(&body).into_owned() });
                let reply = format!(
                    "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
                    text.len()
                );
                let _ = stream.get_mut().write_all(reply.as_bytes());
            }
        }
    });
    url
}

const SCOPES: [&str; 3] = ["keys:read", "keys:create", "keys:rotate"];
const SECRET: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn webhooks_are_signed_in_order_and_tried_until_they_are_taken_even_across_a_kill() {
    let installation = Installation::new();
    let token = installation.token_with(EOA, &SCOPES, "1h");
    let (seen, failures) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(3)));
    let url = {
        let (seen, failures) = (Arc::clone(&seen), Arc::clone(&failures));
        server(move |came| {
            let mut left = failures.lock().unwrap();
            if *left > 0 {
                *left -= 1;
                return (503, String::new());
            }
            seen.lock().unwrap().push((came.head, came.body));
            (200, "{}".into())
        })
    };
    let file = installation.data().join("../hook-secret");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let hooked = |command: &mut Command| {
        command.env("AVS_KMS__EVENTS__WEBHOOK_URLS", &url).env("AVS_KMS__EVENTS__WEBHOOK_SECRET_FILE", &file);
    };
    let service = installation.serve_with(hooked);
    service.create(&token, EOA, "default");
    let body = json!({"eoa": EOA});
    assert_eq!(service.post("/v1/keys/rotate", Some(&token), &body).status, 201);
    assert_eq!(service.post("/v1/keys/activate", Some(&token), &body).status, 200);
    // The first attempts fail; what is left survives the process.
    until("a failed attempt", || *failures.lock().unwrap() < 3);
    service.kill();
    let service = installation.serve_with(hooked);
    until("five deliveries", || seen.lock().unwrap().len() >= 5);
    std::thread::sleep(Duration::from_millis(700));
    let seen = seen.lock().unwrap();
    let bodies: Vec<Value> = seen.iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect();
    let kinds: Vec<_> = bodies.iter().map(|body| body["type"].as_str().unwrap()).collect();
    let all =
        ["version.created", "version.activated", "version.created", "version.retiring", "version.activated"];
    assert_eq!(kinds, all);
    assert_eq!(*failures.lock().unwrap(), 0);
    for (head, body) in seen.iter() {
        let header = head.lines().find_map(|line| line.strip_prefix("x-avs-kms-signature: ")).unwrap();
        let (time, signature) = header.strip_prefix("t=").and_then(|rest| rest.split_once(",v1=")).unwrap();
        assert_eq!(openssl_hmac(&format!("{time}.{body}")), signature);
        let age = avs_kms::clock::Clock::system().now().as_second() - time.parse::<i64>().unwrap();
        assert!((0..60).contains(&age), "the time in the signature is {age} s old");
    }
    assert_eq!(service.get("/v1/events", Some(&token)).body["events"], Value::Array(bodies));
    assert!(!service.log().contains("key=secret"), "the URL's key is in the log");
}

/// Another implementation says what the signature is.
fn openssl_hmac(text: &str) -> String {
    let mut child = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", SECRET])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("openssl is needed: apt-get install --yes openssl");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = process::output_of(child);
    String::from_utf8(output.stdout).unwrap().split_whitespace().last().unwrap().to_owned()
}

/// What the registries hold: the 32 bytes that each contract function returns.
type Held = Arc<Mutex<String>>;

/// A node of chain 17000 with a KeyRegistrar and a coordinator, which answer by selector and argument as the contracts do.
fn node(held: &Held) -> String {
    const REGISTRY: &str = "00000000000000000000000000000000000000aa";
    let held = Arc::clone(held);
    server(move |came| {
        let call: Value = serde_json::from_str(&came.body).unwrap();
        if call["method"] == "eth_chainId" {
            return (200, json!({"jsonrpc": "2.0", "id": 1, "result": "0x4268"}).to_string());
        }
        let (to, data) =
            (call["params"][0]["to"].as_str().unwrap(), call["params"][0]["data"].as_str().unwrap());
        let operator = format!("{:0>64}", EOA[2..].to_lowercase());
        let result = match data.split_at(10) {
            // getKeyHash((address,uint32),address), blsApkRegistry(), operatorToPubkeyHash(address): `cast sig`.
            ("0xea194e2e", arguments)
                if arguments == format!("{:0>64}{:0>64}{operator}", EOA[2..].to_lowercase(), "3") =>
            {
                format!("0x{}", held.lock().unwrap())
            }
            ("0x5df45946", "") => format!("0x{REGISTRY:0>64}"),
            ("0xde29fac0", arguments) if arguments == operator && to[2..].eq_ignore_ascii_case(REGISTRY) => {
                format!("0x{}", held.lock().unwrap())
            }
            // What this node does not know reverts, as a contract does.
            _ => {
                let error = json!({"code": 3, "message": "execution reverted"});
                return (200, json!({"jsonrpc": "2.0", "id": 1, "error": error}).to_string());
            }
        };
        (200, json!({"jsonrpc": "2.0", "id": 1, "result": result}).to_string())
    })
}

fn states(service: &Running, token: &str) -> Vec<String> {
    let shown = service.get(&format!("/v1/keys/{EOA}/default"), Some(token)).body;
    shown["versions"].as_array().unwrap().iter().map(|v| v["state"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_registration_on_the_chain_makes_the_next_version_current() {
    for registry in ["key_registrar", "bls_apk_registry"] {
        let installation = Installation::new();
        let token = installation.token_with(EOA, &SCOPES, "1h");
        let held: Held = Arc::new(Mutex::new("0".repeat(64)));
        let url = node(&held);
        let service = installation.serve_with(|command| {
            command.env("AVS_KMS__CHAIN__RPC_URL", url).env("AVS_KMS__ROTATION__CHECK_INTERVAL", "200ms");
        });
        let mut binding = json!({"registry": registry, "chain_id": 17_000, "verifying_contract": OTHER_EOA});
        if registry == "key_registrar" {
            binding["avs"] = json!(EOA);
            binding["operator_set_id"] = json!(3);
        }
        let first = service.post("/v1/keys", Some(&token), &json!({"eoa": EOA, "binding": binding})).body;
        let next = service.post("/v1/keys/rotate", Some(&token), &json!({"eoa": EOA})).body;
        let holds =
            |key: &Value| key["operator_id"].as_str().unwrap()[2..].clone_into(&mut held.lock().unwrap());
        let registered = |number: usize| {
            let shown = service.get(&format!("/v1/keys/{EOA}/default"), Some(&token)).body;
            shown["versions"][number]["binding"]["registered"].clone()
        };
        holds(&first);
        until("the first is seen registered", || registered(1) == true && registered(0) == false);
        assert_eq!(states(&service, &token), ["pending", "active"]);
        holds(&next);
        until("the next is current", || states(&service, &token) == ["active", "retiring"]);
        until("the old one is seen unregistered", || registered(0) == true && registered(1) == false);
        assert_eq!(states(&service, &token), ["active", "retiring"], "the overlap is not over");
        assert_eq!(service.stop(), Some(0));
        let intent = &installation.records_of("keys.activate")[0];
        assert_eq!(intent["actor"]["kind"], "service");
        assert_eq!(intent["input"]["fields"]["reason"], "chain: the registry holds this version");
    }
}

#[test]
fn a_node_of_another_chain_decides_nothing() {
    let installation = Installation::new();
    let token = installation.token_with(EOA, &SCOPES, "1h");
    let held: Held = Arc::new(Mutex::new("0".repeat(64)));
    let url = node(&held);
    let service = installation.serve_with(|command| {
        command.env("AVS_KMS__CHAIN__RPC_URL", url).env("AVS_KMS__ROTATION__CHECK_INTERVAL", "200ms");
    });
    let binding = json!({"registry": "bls_apk_registry", "chain_id": 1, "verifying_contract": OTHER_EOA});
    service.post("/v1/keys", Some(&token), &json!({"eoa": EOA, "binding": binding}));
    let next = service.post("/v1/keys/rotate", Some(&token), &json!({"eoa": EOA})).body;
    next["operator_id"].as_str().unwrap()[2..].clone_into(&mut held.lock().unwrap());
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(states(&service, &token), ["pending", "active"]);
    let shown = service.get(&format!("/v1/keys/{EOA}/default"), Some(&token)).body;
    assert!(shown["binding"].get("registered").is_none());
}
