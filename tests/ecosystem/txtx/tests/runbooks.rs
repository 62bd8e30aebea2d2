//! Runbooks against the real service: those that ship, unchanged, and one for each way in which a call can fail. A
//! runbook that continues after an error would register nothing, or the wrong thing, and exit with 0.

#[path = "../../live.rs"]
mod live;

use std::path::{Path, PathBuf};
use std::time::Instant;

use avs_kms_txtx::{RUNS, run};
use live::{Installation, Running, SCOPES};
use serde_json::Value;

const EOA: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const OTHER: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
const CONTRACT: &str = "0x54f4bC6bDEbe479173a2bbDc31dD7178408A57A4";

fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../examples/txtx").join(path)
}

fn value<'a>(outputs: &'a Value, name: &str) -> &'a Value {
    let value = &outputs[name]["value"];
    assert!(!value.is_null(), "no output {name} in {outputs}");
    value
}

fn text<'a>(outputs: &'a Value, name: &str) -> &'a str {
    value(outputs, name).as_str().unwrap_or_else(|| panic!("{name} is no text: {outputs}"))
}

fn report(what: &str, begun: Instant) {
    println!(
        "{what}: {:.2} s; {} runs so far",
        begun.elapsed().as_secs_f64(),
        RUNS.load(std::sync::atomic::Ordering::Relaxed)
    );
}

/// The service, a token for everything, and a directory for runbooks.
struct Stage {
    installation: Installation,
    service: Running,
    token: String,
}

impl Stage {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(settings: &[(&str, &str)]) -> Self {
        let installation = Installation::new();
        let token = installation.token(EOA, SCOPES);
        let service = installation.serve(settings);
        Self { installation, service, token }
    }

    /// Runs one call written down as a runbook's author would; gives the outcome of the engine.
    async fn call(&self, method: &str, path: &str, token: &str, body: &str) -> Result<Value, String> {
        let authorization = format!("headers = {{ \"Authorization\" = \"Bearer {token}\" }}");
        let headers = if token.is_empty() { "" } else { &authorization };
        let body = if body.is_empty() { String::new() } else { format!("body = {body}") };
        let runbook = format!(
            r#"
action "call" "std::send_http_request" {{
  url = "${{input.kms_url}}{path}"
  method = "{method}"
  {headers}
  {body}
  post_condition {{
    assertion = std::assert_eq(std::jq(action.call.response_body, ".error"), null)
  }}
}}
output "status" {{ value = action.call.status_code }}
output "body" {{ value = std::jq(action.call.response_body, ".") }}
"#
        );
        let file = self.installation.path().join("call.tx");
        std::fs::write(&file, runbook).unwrap();
        run(&file, &[("kms_url", &self.service.url)]).await
    }

    async fn must(&self, path: &str, body: &str) -> Value {
        self.call("POST", path, &self.token, body)
            .await
            .unwrap_or_else(|error| panic!("{path} {body}: {error}"))
    }

    /// What is wrong with a call that should stop the engine and show its user the service's sentence.
    async fn mismatch(&self, [method, path, token, body]: [&str; 4], sentence: &str) -> Option<String> {
        match self.call(method, path, token, body).await {
            Ok(outputs) => Some(format!("{method} {path} {body} went on: {outputs}")),
            Err(shown) if shown.contains(sentence) => None,
            Err(shown) => Some(format!("{method} {path} {body}: {shown:?} lacks {sentence:?}")),
        }
    }

    /// The engine stops, and its user reads the service's sentence.
    async fn stops(&self, call: [&str; 4], sentence: &str) {
        assert_eq!(self.mismatch(call, sentence).await, None);
    }
}

fn inputs<'a>(stage: &'a Stage, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let own = [
        ("kms_url", stage.service.url.as_str()),
        ("kms_token", stage.token.as_str()),
        ("operator", EOA),
        ("key_name", "my-avs.set-7"),
        ("chain_id", "11155111"),
    ];
    own.into_iter().chain(more.iter().copied()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_registrations_end_in_what_the_contracts_take() {
    let begun = Instant::now();
    let stage = Stage::new();
    let file = shipped("register-bls-apk-registry/runbook/kms.tx");
    let given = inputs(&stage, &[("registry_coordinator", CONTRACT)]);
    let first = run(&file, &given).await.unwrap();
    let parameters = value(&first, "pubkey_registration_params");
    assert_eq!(parameters.as_array().unwrap().len(), 3, "{first}");
    assert!(text(&first, "operator_id").starts_with("0x"));
    assert_eq!(text(&first, "signed_point").len(), 128);
    assert!(value(&first, "audit_record").as_u64().is_some(), "{first}");

    let again = run(&file, &given).await.unwrap();
    assert_eq!(
        value(&again, "pubkey_registration_params"),
        parameters,
        "a repeated runbook comes to something else"
    );

    let file = shipped("register-key-registrar/runbook/kms.tx");
    let given = inputs(&stage, &[("key_registrar", CONTRACT), ("avs", OTHER), ("operator_set_id", "7")]);
    let registrar = run(&file, &given).await.unwrap();
    assert_eq!(text(&registrar, "key_data").len(), 2 + 384);
    assert_eq!(text(&registrar, "signature_bytes").len(), 2 + 128);
    assert_eq!(text(&registrar, "signed_digest").len(), 64);
    assert_eq!(text(&registrar, "key_hash"), text(&first, "operator_id"));
    report("shipped registrations", begun);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_registrations_stop_at_the_first_refusal() {
    let begun = Instant::now();
    let stage = Stage::new();
    let guess = format!("kms_{}", "0".repeat(64));
    let reader = stage.installation.token(EOA, &["keys:create"]);
    for file in ["register-bls-apk-registry/runbook/kms.tx", "register-key-registrar/runbook/kms.tx"] {
        let more = [
            ("registry_coordinator", CONTRACT),
            ("key_registrar", CONTRACT),
            ("avs", OTHER),
            ("operator_set_id", "7"),
        ];
        let mut given = inputs(&stage, &more);
        given[1].1 = &guess;
        let shown = run(&shipped(file), &given).await.unwrap_err();
        assert!(shown.contains("the access token is not valid"), "{shown}");
        given[1].1 = &reader;
        let shown = run(&shipped(file), &given).await.unwrap_err();
        assert!(shown.contains("sign:typed"), "{shown}");
        given[1].1 = &stage.token;
        given[4].1 = "-1";
        assert!(run(&shipped(file), &given).await.is_err());
    }
    report("refused registrations", begun);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_refusal_stops_a_runbook_and_shows_the_services_sentence() {
    let begun = Instant::now();
    let stage = Stage::new();
    let token = stage.token.as_str();
    let short = stage.installation.must(&[
        "access-token",
        "issue",
        "--eoa",
        EOA,
        "--ttl",
        "1s",
        "--scope",
        "keys:read",
    ]);
    let created = stage.must("/v1/keys", &format!("{{ eoa = \"{EOA}\" }}")).await;
    assert_eq!((value(&created, "status"), &value(&created, "body")["version"]), (&201.into(), &1.into()));

    let eoa = format!("eoa = \"{EOA}\"");
    let mul = |hash: &str| format!("{{ {eoa}, hash = {hash} }}");
    let field = |first: &str, last: &str| format!("\"0x{}{last}\"", first.repeat(63));
    let [zero, one, two, max] = [field("0", "0"), field("0", "1"), field("0", "2"), field("f", "f")];
    let xy = |x: &str, y: &str| mul(&format!("{{ x = {x}, y = {y} }}"));
    let key = format!("{{ {eoa} }}");
    let digest = format!("{{ {eoa}, digest = {one} }}");
    let late = format!("{{ {eoa}, digest = {one}, version = 2 }}");
    let next = format!("{{ {eoa}, digest = {one}, version = \"next\" }}");
    let unknown = format!("{{ {eoa}, name = \"none\", digest = {one} }}");
    let wide = format!("{{ {eoa}, name = \"{}\" }}", "a".repeat(70_000));
    let other = format!("{{ eoa = \"{OTHER}\" }}");
    let guess = format!("kms_{}", "0".repeat(64));
    let narrow = stage.installation.token(EOA, &["sign:point"]);
    let colour = format!("{{ {eoa}, colour = \"red\" }}");
    let registry =
        format!("{{ {eoa}, registry = \"other\", chain_id = 1, verifying_contract = \"{CONTRACT}\" }}");
    let (infinity, off, beyond) = (xy(&zero, &zero), xy(&one, &one), xy(&max, &two));
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let list = format!("/v1/keys/{EOA}");
    let cases: &[([&str; 4], &str)] = &[
        (["POST", "/v1/keys", "", &key], "this call needs an access token"),
        (["POST", "/v1/keys", "kms_x", &key], "the Authorization header must be"),
        (["POST", "/v1/keys", &guess, &key], "the access token is not valid"),
        (["GET", &list, &short, ""], "the access token has expired"),
        (["GET", &list, &narrow, ""], "the access token lacks the scope keys:read"),
        (["POST", "/v1/keys", token, &other], "the access token is not for this EOA"),
        (["POST", "/v1/keys", token, "{ eoa = \"0x12\" }"], "an address is 0x and 40 hex digits"),
        (["POST", "/v1/keys", token, "{ name = \"default\" }"], "missing member `eoa`"),
        (["POST", "/v1/keys", token, &colour], "unknown member `colour`"),
        (["POST", "/v1/keys", token, "[1]"], "application/json"),
        (["POST", "/v1/keys", token, "\"{}\""], "application/json"),
        (["POST", "/v1/keys", token, &wide], "larger than 64 KiB"),
        (["PUT", "/v1/keys", token, &key], "does not support this method"),
        (["POST", "/v1/nothing", token, &key], "there is no such path"),
        (["POST", "/v1/sign/digest", token, &unknown], "this EOA has no key of this name"),
        (["POST", "/v1/sign/digest", token, &late], "the key has no such version"),
        (["POST", "/v1/sign/digest", token, &next], "the key has no such version"),
        (["POST", "/v1/scalar_mul", token, &mul("\"0x\"")], "contract"),
        (["POST", "/v1/scalar_mul", token, &mul("\"0xzz\"")], "hex digits"),
        (["POST", "/v1/scalar_mul", token, &mul("18446744073709551615")], "expected a point"),
        (["POST", "/v1/scalar_mul", token, &infinity], "infinity"),
        (["POST", "/v1/scalar_mul", token, &off], "not on the curve"),
        (["POST", "/v1/scalar_mul", token, &beyond], "field element"),
        (
            ["POST", "/v1/sign/registration", token, &registry],
            "expected `bls_apk_registry` or `key_registrar`",
        ),
    ];
    let mut wrong = Vec::new();
    for (call, sentence) in cases {
        wrong.extend(stage.mismatch(*call, sentence).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let signed = stage.must("/v1/sign/digest", &digest).await;
    assert!(value(&signed, "body")["signature"]["x"].is_string(), "{signed}");
    report(&format!("{} kinds of refusal", cases.len()), begun);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_in_trouble_stops_a_runbook_too() {
    let begun = Instant::now();
    // There is no listener at the address of the node.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stage = Stage::with(&[("AVS_KMS__CHAIN__RPC_URL", &format!("http://{gone}"))]);
    stage.must("/v1/keys", &format!("{{ eoa = \"{EOA}\" }}")).await;
    let registration = format!(
        "{{ eoa = \"{EOA}\", registry = \"bls_apk_registry\", chain_id = 1, verifying_contract = \"{CONTRACT}\" }}"
    );
    let call = ["POST", "/v1/sign/registration", &stage.token, &registration];
    stage.stops(call, "the node of chain.rpc_url does not answer").await;

    let Stage { installation, service, token } = stage;
    drop(service);
    let service = Running::nowhere(&gone.to_string());
    let stage = Stage { installation, service, token };
    stage.stops(["POST", "/v1/sign/registration", &stage.token, &registration], "").await;

    let capped = Stage::new();
    let token = capped.token.as_str();
    capped.must("/v1/keys", &format!("{{ eoa = \"{EOA}\", policy = {{ per_minute = 1 }} }}")).await;
    let digest = format!("{{ eoa = \"{EOA}\", digest = \"0x{}\" }}", "01".repeat(32));
    capped.must("/v1/sign/digest", &digest).await;
    capped.stops(["POST", "/v1/sign/digest", token, &digest], "used more often than its policy allows").await;

    let slow = Stage::with(&[("AVS_KMS__SERVER__REQUEST_DEADLINE", "1ms")]);
    let key = format!("{{ eoa = \"{EOA}\" }}");
    slow.stops(["POST", "/v1/keys", &slow.token, &key], "the request took too long").await;
    report("trouble", begun);
}
