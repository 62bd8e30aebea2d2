//! Logins over HTTP: a signed challenge is exchanged for an access token, once.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::support::wallet::{Wallet, json_rpc_signer};
use crate::support::with_store::with_store;
use crate::support::{EOA, Installation, OTHER_EOA, Running, text};

fn challenge(service: &Running, body: &Value) -> Value {
    let answer = service.post("/v1/auth/challenge", None, body);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

fn verify(service: &Running, challenge: &Value, signature: &str) -> crate::support::client::Answer {
    let body = json!({"challenge_id": challenge["challenge_id"], "signature": signature});
    service.post("/v1/auth/verify", None, &body)
}

#[test]
fn a_signature_over_the_text_or_the_object_gives_a_token_for_ones_own_keys_once() {
    let installation = Installation::new();
    let service = installation.serve();
    let wallet = Wallet::of(EOA);
    for method in ["personal_sign", "eth_signTypedData_v4"] {
        let offered = challenge(&service, &json!({"eoa": EOA.to_lowercase()}));
        let text = offered["message"].as_str().unwrap();
        assert!(text.starts_with(&format!("{} wants you", service.address)), "{text}");
        assert!(text.contains(&format!("URI: http://{}\n", service.address)), "{text}");
        let parameters = match method {
            "personal_sign" => json!([format!("0x{}", hex::encode(text)), EOA]),
            _ => json!([EOA, offered["typed_data"]]),
        };
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters});
        let signature = json_rpc_signer(&wallet, &call)["result"].as_str().unwrap().to_owned();
        let answer = verify(&service, &offered, &signature);
        assert_eq!((answer.status, &answer.body["eoa"]), (200, &json!(EOA)), "{answer:?}");
        assert_eq!(answer.body["token_type"], "Bearer");
        let token = answer.body["access_token"].as_str().unwrap();
        service.create(token, EOA, "default");
        let other = service.post("/v1/keys", Some(token), &json!({"eoa": OTHER_EOA}));
        assert_eq!(other.code(), (403, "forbidden"));
        assert_eq!(verify(&service, &offered, &signature).code(), (401, "challenge_unknown"), "{method}");
    }
    service.stop();
    let records = installation.records_of("auth.verify");
    let outcomes: Vec<_> =
        records.iter().filter(|it| it["kind"] == "outcome").map(|it| &it["code"]).collect();
    assert_eq!(outcomes, ["ok", "ok"]);
    let intent = records.iter().find(|it| it["kind"] == "intent").unwrap();
    assert_eq!((&intent["actor"]["kind"], &intent["actor"]["eoa"]), (&json!("operator"), &json!(EOA)));
    assert_eq!(intent["input"]["fields"]["proof"], "eip191");
    let refused = records.iter().filter(|it| it["code"] == "challenge_unknown").count();
    assert_eq!(refused, 2, "{records:?}");
    let refusal = records.iter().find(|it| it["kind"] == "event").unwrap();
    assert_eq!(refusal["input"]["fields"]["eoa"], EOA, "{refusal}");
}

#[test]
fn a_challenge_survives_a_restart_and_stays_spent_over_another() {
    let installation = Installation::new();
    let fixed = |command: &mut std::process::Command| {
        command.env("AVS_KMS__AUTH__PUBLIC_URL", "https://kms.example");
    };
    let service = installation.serve_with(fixed);
    let offered = challenge(&service, &json!({"eoa": EOA}));
    let signature = Wallet::of(EOA).typed(&offered["typed_data"]);
    service.kill();
    let service = installation.serve_with(fixed);
    let answer = verify(&service, &offered, &signature);
    assert_eq!(answer.status, 200, "{answer:?}");
    let token = answer.body["access_token"].as_str().unwrap().to_owned();
    service.kill();
    let service = installation.serve_with(fixed);
    assert_eq!(verify(&service, &offered, &signature).code(), (401, "challenge_unknown"));
    assert_eq!(service.get(&format!("/v1/keys/{EOA}"), Some(&token)).status, 200);
    service.kill();
    // Another chain, another domain: the same challenge verifies for no EOA.
    for (name, value) in [("CHAIN_ID", "5"), ("PUBLIC_URL", "https://other.example")] {
        let service = installation.serve_with(|command| {
            fixed(command);
            command.env(format!("AVS_KMS__AUTH__{name}"), value);
        });
        let spent = challenge(&service, &json!({"eoa": EOA}));
        assert_ne!(spent["message"], offered["message"]);
        assert_eq!(verify(&service, &offered, &signature).code(), (401, "challenge_unknown"), "{name}");
    }
}

#[test]
fn another_signature_form_of_signature_or_challenge_gives_nothing() {
    let installation = Installation::new();
    let url = "http://kms.example";
    let expired = expired(&installation, url);
    let service = installation.serve_with(|command| {
        command.env("AVS_KMS__AUTH__PUBLIC_URL", url);
    });
    let (wallet, other) = (Wallet::of(EOA), Wallet::of(OTHER_EOA));
    let offered = challenge(&service, &json!({"eoa": EOA}));
    let text = offered["message"].as_str().unwrap();
    let good = wallet.personal(text);
    let second = challenge(&service, &json!({"eoa": EOA}));
    let (r_s, v) = good.split_at(130);
    let order = alloy_primitives::U256::from_str_radix(
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
        16,
    )
    .unwrap();
    let s = alloy_primitives::U256::from_str_radix(&r_s[66..], 16).unwrap();
    let twin = format!("{}{:064x}{}", &r_s[..66], order - s, if v == "1b" { "1c" } else { "1b" });
    for wrong in [
        other.personal(text),
        wallet.personal(second["message"].as_str().unwrap()),
        wallet.personal(&format!("{text}\n")),
        twin,
        format!("{r_s}ff"),
        format!("{r_s}02"),
        good[..good.len() - 2].to_owned(),
        format!("{good}00"),
        "0x".to_owned(),
    ] {
        let answer = verify(&service, &offered, &wrong);
        assert_eq!(answer.code(), (401, "signature_mismatch"), "{wrong}");
        assert!(answer.body["error"].as_str().unwrap().contains("chain.rpc_url"), "{answer:?}");
    }
    let mut other = offered.clone();
    other["challenge_id"] = json!(offered["challenge_id"].as_str().unwrap().replace('1', "2"));
    assert_eq!(verify(&service, &other, &good).code(), (401, "challenge_unknown"));
    let signature = wallet.personal(expired["message"].as_str().unwrap());
    assert_eq!(verify(&service, &expired, &signature).code(), (401, "challenge_expired"));
    assert_eq!(verify(&service, &offered, &good).status, 200, "failed tries used the challenge up");
}

/// A challenge that this service made five minutes ago: sealed with its own key.
fn expired(installation: &Installation, url: &str) -> Value {
    serde_json::from_str(&with_store(&installation.data(), "expired challenge", url)).unwrap()
}

#[test]
fn scopes_and_lifetime_are_bounded_and_destruction_is_asked_for_by_signature() {
    let installation = Installation::new();
    let service = installation.serve();
    let usual = challenge(&service, &json!({"eoa": EOA}));
    assert_eq!(usual["ttl_seconds"], 900);
    let usual = usual["scopes"].as_array().unwrap().clone();
    assert!(!usual.contains(&json!("keys:destroy")) && usual.contains(&json!("sign:point")), "{usual:?}");
    for (member, value) in [
        ("ttl_seconds", json!(3_601)),
        ("ttl_seconds", json!(0)),
        ("ttl_seconds", json!("900")),
        ("scopes", json!([])),
        ("scopes", json!(["sign:everything"])),
        ("scopes", json!("keys:read")),
    ] {
        let answer = service.post("/v1/auth/challenge", None, &json!({"eoa": EOA, member: value}));
        assert_eq!((answer.code(), &answer.body["field"]), ((400, "invalid_request"), &json!(member)));
    }
    let body = json!({"eoa": EOA, "scopes": ["keys:destroy"]});
    assert_eq!(service.post("/v1/auth/challenge", None, &body).code(), (403, "forbidden"));
    let refused = installation.run(&["access-token", "issue", "--eoa", EOA, "--scope", "keys:destroy"]);
    assert!(!refused.status.success() && text(&refused.stderr).contains("allows nothing"), "{refused:?}");
    let bearer = installation.token(EOA);
    assert_eq!(service.post("/v1/auth/challenge", Some(&bearer), &body).code(), (403, "forbidden"));
    let signed = |eoa| {
        crate::auth::request_signatures::post(&service, &Wallet::of(eoa), eoa, "/v1/auth/challenge", &body)
    };
    assert_eq!(signed(OTHER_EOA).code(), (403, "forbidden"));
    let answer = signed(EOA);
    assert_eq!((answer.status, &answer.body["scopes"]), (200, &json!(["keys:destroy"])), "{answer:?}");
}

#[test]
fn only_the_operators_that_are_configured_log_in() {
    let installation = Installation::new();
    let service = installation.serve_with(|command| {
        command.env("AVS_KMS__AUTH__ALLOWED_OPERATORS", OTHER_EOA.to_lowercase());
    });
    for (eoa, code) in [(EOA, (403, "forbidden")), (OTHER_EOA, (200, "-"))] {
        let offered = challenge(&service, &json!({"eoa": eoa}));
        let signature = Wallet::of(eoa).typed(&offered["typed_data"]);
        assert_eq!(verify(&service, &offered, &signature).code(), code, "{eoa}");
        let answer = crate::auth::request_signatures::post(
            &service,
            &Wallet::of(eoa),
            eoa,
            "/v1/keys",
            &json!({"eoa": eoa}),
        );
        assert_eq!(answer.status, if code.0 == 200 { 201 } else { 403 }, "{answer:?}");
    }
}

/// A node on chain 1 with one contract, which takes the signature 0xc0ffee over anything, and one that reverts.
fn node(chain: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = BufReader::new(stream);
            let mut length = 0;
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                    break;
                }
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            if stream.read_exact(&mut body).is_err() {
                continue;
            }
            let call: Value = serde_json::from_slice(&body).unwrap();
            let result = match call["method"].as_str().unwrap() {
                "eth_chainId" => json!({"result": chain}),
                _ => {
                    let data = call["params"][0]["data"].as_str().unwrap();
                    assert!(data.starts_with("0x1626ba7e"), "{data}");
                    if call["params"][0]["to"] == OTHER_EOA {
                        json!({"error": {"code": 3, "message": "execution reverted"}})
                    } else if data.contains("c0ffee0") {
                        json!({"result": format!("0x1626ba7e{}", "0".repeat(56))})
                    } else {
                        json!({"result": format!("0xffffffff{}", "0".repeat(56))})
                    }
                }
            };
            let text = result.to_string();
            let head =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", text.len());
            let _ = stream.get_mut().write_all((head + &text).as_bytes());
        }
    });
    url
}

#[test]
fn a_contract_wallet_logs_in_where_a_node_of_the_right_chain_is_configured() {
    let installation = Installation::new();
    let with = |url: String| {
        installation.serve_with(move |command| {
            command
                .env("AVS_KMS__CHAIN__RPC_URL", url)
                .env("AVS_KMS__AUTH__CONTRACT_WALLETS", format!("{EOA},{OTHER_EOA}"));
        })
    };
    let service = with(node("0x1"));
    let offered = challenge(&service, &json!({"eoa": EOA}));
    assert_eq!(verify(&service, &offered, "0xbadbad").code(), (401, "signature_mismatch"));
    let answer = verify(&service, &offered, "0xc0ffee");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(verify(&service, &offered, "0xc0ffee").code(), (401, "challenge_unknown"));
    let reverts = challenge(&service, &json!({"eoa": OTHER_EOA}));
    assert_eq!(verify(&service, &reverts, "0xc0ffee").code(), (401, "signature_mismatch"));
    let long = format!("0x{}", "ab".repeat(8 * 1024 + 1));
    assert_eq!(verify(&service, &reverts, &long).code(), (400, "invalid_request"));
    service.kill();
    let service = with(node("0x5"));
    let offered = challenge(&service, &json!({"eoa": EOA}));
    assert_eq!(verify(&service, &offered, "0xc0ffee").code(), (500, "internal"));
    service.kill();
    let service = with("http://127.0.0.1:9".to_owned());
    let offered = challenge(&service, &json!({"eoa": EOA}));
    assert_eq!(verify(&service, &offered, "0xc0ffee").code(), (503, "overloaded"));
}

#[test]
fn a_contract_wallet_that_is_not_listed_never_reaches_the_node() {
    let installation = Installation::new();
    // Every connection is seen.
    let node = TcpListener::bind("127.0.0.1:0").unwrap();
    node.set_nonblocking(true).unwrap();
    let url = format!("http://{}", node.local_addr().unwrap());
    for listed in ["", OTHER_EOA] {
        let service = installation.serve_with(|command| {
            command.env("AVS_KMS__CHAIN__RPC_URL", &url).env("AVS_KMS__AUTH__CONTRACT_WALLETS", listed);
        });
        let offered = challenge(&service, &json!({"eoa": EOA}));
        let answer = verify(&service, &offered, "0xc0ffee");
        assert_eq!(answer.code(), (401, "signature_mismatch"));
        assert!(answer.body["error"].as_str().unwrap().contains("auth.contract_wallets"), "{answer:?}");
        service.kill();
        assert_eq!(node.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
}

#[test]
#[ignore = "a measurement: cargo test --test service round_trips -- --ignored --nocapture"]
#[expect(clippy::print_stdout, reason = "a figure for people")]
fn round_trips_per_second() {
    let installation = Installation::new();
    let service = installation.serve_with(|command| {
        command.env("AVS_KMS__LIMITS__SIGNATURE_CHECKS_PER_ADDRESS", "0");
    });
    for clients in [1_usize, 8] {
        let begun = std::time::Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..clients {
                scope.spawn(|| {
                    let wallet = Wallet::of(EOA);
                    for _ in 0..100 {
                        let offered = challenge(&service, &json!({"eoa": EOA}));
                        let signature = wallet.personal(offered["message"].as_str().unwrap());
                        assert_eq!(verify(&service, &offered, &signature).status, 200);
                    }
                });
            }
        });
        let rate = 100.0 * clients as f64 / begun.elapsed().as_secs_f64();
        println!("{clients} client(s): {rate:.0} login round trips per second, signing included");
    }
}
