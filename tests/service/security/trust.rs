//! What others say of themselves: the name in `Host`, a node of the chain, texts that show something else than they are.

use serde_json::json;

use crate::support::client::{Answer, request};
use crate::support::{EOA, Installation, Running, process, text};

/// The request as a browser sends it for a page of that name.
fn for_name(service: &Running, host: &str, path: &str, token: Option<&str>) -> Answer {
    let bytes = String::from_utf8(request("GET", path, token, None)).unwrap();
    service.send(bytes.replace("Host: localhost", &format!("Host: {host}")).as_bytes())
}

#[test]
fn a_page_whose_name_was_made_to_point_here_gets_nothing_but_health() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve_with(|command| {
        command
            .env("AVS_KMS__SERVER__ALLOWED_HOSTS", "kms.internal")
            .env("AVS_KMS__AUTH__PUBLIC_URL", "https://kms.example:8443/");
    });
    service.create(&token, EOA, "default");
    let keys = format!("/v1/keys/{EOA}");
    for host in ["evil.example", "evil.example:8254", "localhost.evil.example", "", "10.9.9.9"] {
        for (path, token) in [
            (keys.as_str(), Some(token.as_str())),
            (&keys, None),
            ("/docs", None),
            ("/openapi.json", None),
            ("/x", None),
        ] {
            let answer = for_name(&service, host, path, token);
            assert_eq!(answer.code(), (421, "host_not_allowed"), "{host} {path}");
            assert!(!answer.raw.contains("evil"), "{}", answer.raw);
        }
        for path in ["/healthz", "/readyz", "/version"] {
            assert_eq!(for_name(&service, host, path, None).status, 200, "{host} {path}");
        }
    }
    let address = service.address.to_string();
    for host in [
        "localhost",
        "LOCALHOST:1",
        &address,
        "[::1]:8254",
        "kms.internal",
        "kms.example:8443",
        "kms.example.",
    ] {
        assert_eq!(for_name(&service, host, &keys, Some(&token)).status, 200, "{host}");
    }
    // The local socket has no name.
    installation.must(&["keys", "list", "--eoa", EOA]);
    service.stop();
    let refused = installation.records().iter().filter(|record| record["code"] == "host_not_allowed").count();
    assert_eq!(refused, 0, "a refusal without credentials left a record");
}

#[test]
fn a_node_on_another_machine_is_asked_over_plain_http_only_where_that_is_allowed() {
    let installation = Installation::new();
    let serve = |settings: &[(&str, &str)]| {
        let output = process::output(installation.command(&["keys", "list"]).envs(settings.iter().copied()));
        (output.status.code(), text(&output.stderr))
    };
    for url in ["http://192.0.2.1:8545", "http://node.example", "http://127.0.0.1@node.example"] {
        let (code, said) = serve(&[("AVS_KMS__CHAIN__RPC_URL", url)]);
        assert!(code == Some(2) && said.contains("chain.allow_plain_http"), "{code:?} {said}");
        assert!(!said.contains("node.example"), "{said}");
    }
    let (code, said) = serve(&[("AVS_KMS__AUTH__CONTRACT_WALLETS", EOA)]);
    assert!(code == Some(2) && said.contains("chain.rpc_url"), "{code:?} {said}");
    for settings in [
        vec![("AVS_KMS__CHAIN__RPC_URL", "https://node.example")],
        vec![
            ("AVS_KMS__CHAIN__RPC_URL", "http://192.0.2.1:8545"),
            ("AVS_KMS__CHAIN__ALLOW_PLAIN_HTTP", "true"),
        ],
        vec![("AVS_KMS__CHAIN__RPC_URL", "http://[::1]:8545"), ("AVS_KMS__AUTH__CONTRACT_WALLETS", EOA)],
    ] {
        let (code, said) = serve(&settings);
        assert_eq!(code, Some(0), "{settings:?}: {said}");
    }
}

#[test]
fn names_of_dots_and_reasons_that_hide_something_are_refused() {
    let installation = Installation::new();
    let token = installation.token_with(EOA, &["keys:create", "keys:rotate"], "1h");
    let service = installation.serve();
    for name in [".", ".."] {
        let answer = service.post("/v1/keys", Some(&token), &json!({"eoa": EOA, "name": name}));
        assert_eq!(answer.code(), (400, "invalid_request"), "{name}");
        let output = installation.run(&["keys", "create", "--eoa", EOA, "--name", name]);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    }
    service.create(&token, EOA, "...");
    for hidden in [
        "\u{202e}lanoitnetni",
        "a\u{200b}b",
        "\u{2066}a\u{2069}",
        "a\u{feff}",
        "\u{e0041}",
        "a\u{2028}b",
        "\u{7f}",
    ] {
        let body = json!({"eoa": EOA, "name": "...", "reason": hidden});
        let answer = service.post("/v1/keys/rotate", Some(&token), &body);
        assert_eq!(answer.code(), (400, "invalid_request"), "{hidden:?}");
        assert_eq!(answer.body["field"], "reason");
    }
    let body = json!({"eoa": EOA, "name": "...", "reason": "quarterly – Schlüssel 鍵"});
    assert_eq!(service.post("/v1/keys/rotate", Some(&token), &body).status, 201);
}

#[test]
fn a_token_from_a_wrong_network_is_answered_as_one_that_does_not_exist() {
    let installation = Installation::new();
    let far = installation.must(&[
        "access-token",
        "issue",
        "--eoa",
        EOA,
        "--scope",
        "keys:read",
        "--ttl",
        "1h",
        "--network",
        "10.0.0.0/8",
    ]);
    let service = installation.serve();
    let unknown = format!("kms_{}", "A".repeat(far.len() - 4));
    let path = format!("/v1/keys/{EOA}");
    let [far, unknown] = [far, unknown].map(|token| service.get(&path, Some(&token)));
    assert_eq!(
        (far.status, &far.body["code"], &far.body["error"]),
        (unknown.status, &unknown.body["code"], &unknown.body["error"])
    );
    assert_eq!(far.code(), (401, "unauthenticated"));
}
