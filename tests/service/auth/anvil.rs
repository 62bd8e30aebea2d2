//! Logins through a JSON-RPC signer of another project: anvil, which keeps development keys. `make login-anvil` runs it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::client::request;
use crate::support::{EOA, Installation};

/// One call, its answer's `result`.
fn call(node: SocketAddr, method: &str, parameters: &Value) -> String {
    use std::io::{Read, Write};
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).to_string();
    let mut stream = std::net::TcpStream::connect(node).unwrap();
    stream.write_all(&request("POST", "/", None, Some(&body))).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let answer: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    answer["result"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

#[test]
#[ignore = "needs anvil: make login-anvil"]
fn the_typed_data_object_passes_through_a_foreign_signer_untouched() {
    let program = std::env::var("ANVIL").expect("ANVIL names the program");
    let mut anvil = Command::new(program).args(["--port", "0"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(anvil.stdout.take().unwrap()).lines().map_while(Result::ok);
    let node =
        lines.find_map(|line| line.strip_prefix("Listening on ").map(|it| it.parse().unwrap())).unwrap();
    let installation = Installation::new();
    let service = installation.serve();
    for method in ["personal_sign", "eth_signTypedData_v4"] {
        let offered = service.post("/v1/auth/challenge", None, &json!({"eoa": EOA})).body;
        let text = format!("0x{}", hex::encode(offered["message"].as_str().unwrap()));
        let parameters =
            if method == "personal_sign" { json!([text, EOA]) } else { json!([EOA, offered["typed_data"]]) };
        let signature = call(node, method, &parameters);
        let body = json!({"challenge_id": offered["challenge_id"], "signature": signature});
        let answer = service.post("/v1/auth/verify", None, &body);
        assert_eq!(answer.status, 200, "{method}: {answer:?}");
    }
    let object = service.get("/v1/auth/typed-data?method=GET&path=/v1/keys/".to_owned().as_str(), None);
    let signature = call(node, "eth_signTypedData_v4", &json!([EOA, object.body["typed_data"]]));
    let header = object.body["authorization"].as_str().unwrap();
    let header = header.replace("<address>", EOA).replace("<signature>", &signature);
    let text =
        format!("GET /v1/keys/ HTTP/1.1\r\nHost: t\r\nConnection: close\r\nAuthorization: {header}\r\n\r\n");
    // Recognised, and then there is no such path.
    assert_eq!(service.send(text.as_bytes()).code(), (404, "not_found"));
    let _ = anvil.kill();
    let _ = anvil.wait();
}
