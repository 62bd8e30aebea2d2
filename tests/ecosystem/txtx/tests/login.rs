//! `examples/txtx/login-with-a-signer.tx`, unchanged, with a JSON-RPC signer of this test's own.

#[path = "../../live.rs"]
mod live;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;

use avs_kms_txtx::run;
use k256::ecdsa::SigningKey;
use keccak_hash::keccak;
use live::Installation;
use serde_json::{Value, json};

const EOA: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
/// The second and the third key of every development node.
const KEY: &str = "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
const OTHER_KEY: &str = "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a";

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.strip_prefix("0x").unwrap_or(hex);
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// `personal_sign`: EIP-191, version 0x45.
fn personal_sign(key: &str, request: &Value) -> Value {
    let text = bytes(request["params"][0].as_str().unwrap());
    let prefix = format!("\x19Ethereum Signed Message:\n{}", text.len());
    let digest = keccak([prefix.as_bytes(), &text].concat());
    let key = SigningKey::from_slice(&bytes(key)).unwrap();
    let (signature, id) = key.sign_prehash_recoverable(digest.as_bytes()).unwrap();
    let hex: String = signature.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    json!({"jsonrpc": "2.0", "id": 1, "result": format!("0x{hex}{:02x}", 27 + id.to_byte())})
}

/// A signer that answers each call so.
fn signer(answer: impl Fn(&Value) -> Value + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
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
            let answer = answer(&serde_json::from_slice(&body).unwrap()).to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                answer.len()
            );
            stream.get_mut().write_all((head + &answer).as_bytes()).unwrap();
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runbook_logs_in_with_the_operators_signer_and_stops_where_that_fails() {
    let installation = Installation::new();
    let service = installation.serve(&[]);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../examples/txtx/login-with-a-signer.tx");
    let inputs_for = |url, id| {
        [("kms_url", service.url.as_str()), ("operator", EOA), ("signer_url", url), ("kms_installation", id)]
    };
    let inputs = |url| inputs_for(url, installation.id.as_str());

    let url = signer(|request| personal_sign(KEY, request));
    let outputs = run(&file, &inputs(&url)).await.unwrap();
    assert!(outputs["token_expires_at"]["value"].is_string(), "{outputs}");

    // Another service answers at the URL: nothing is signed for it.
    let url = signer(|_| panic!("asked to sign for another installation"));
    let shown = run(&file, &inputs_for(&url, "00000000000000000000000000000000")).await.unwrap_err();
    assert!(shown.contains(&installation.id), "{shown}");

    let url = signer(|request| personal_sign(OTHER_KEY, request));
    let shown = run(&file, &inputs(&url)).await.unwrap_err();
    assert!(shown.contains("signature"), "{shown}");

    let url = signer(
        |_| json!({"jsonrpc": "2.0", "id": 1, "error": {"code": 4001, "message": "denied by the user"}}),
    );
    let shown = run(&file, &inputs(&url)).await.unwrap_err();
    assert!(shown.contains("denied by the user"), "{shown}");
}
