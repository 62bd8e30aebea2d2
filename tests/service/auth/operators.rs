//! Who may log in: no EOA unless the configuration lists it, and no answer tells who is on the list.

use serde_json::{Value, json};

use super::request_signatures::post as post_signed;
use crate::support::client::Answer;
use crate::support::wallet::Wallet;
use crate::support::{EOA, Installation, OTHER_EOA, Running};

fn serve(installation: &Installation, operators: &str) -> Running {
    installation.serve_with(|command| {
        command.env("AVS_KMS__AUTH__ALLOWED_OPERATORS", operators);
    })
}

fn challenge(service: &Running, eoa: &str) -> Answer {
    service.post("/v1/auth/challenge", None, &json!({"eoa": eoa}))
}

fn verify(service: &Running, offered: &Value, signature: &str) -> Answer {
    let body = json!({"challenge_id": offered["challenge_id"], "signature": signature});
    service.post("/v1/auth/verify", None, &body)
}

#[test]
fn without_a_list_no_eoa_logs_in_or_signs_requests_and_issued_access_tokens_work() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = serve(&installation, "");
    assert_eq!(challenge(&service, EOA).code(), (403, "login_disabled"));
    let anything = json!({"challenge_id": "ch_00"});
    assert_eq!(verify(&service, &anything, "0x00").code(), (403, "login_disabled"));
    assert_eq!(service.get("/v1/auth/typed-data?path=/v1/keys", None).code(), (403, "login_disabled"));
    let header =
        format!("EIP712 operator={EOA},issued=1,expires=2,nonce=0x{0},sig=0x{0}{0}1b", "11".repeat(32));
    let signed = format!(
        "POST /v1/keys HTTP/1.1\r\nHost: t\r\nConnection: close\r\nAuthorization: {header}\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    assert_eq!(service.send(signed.as_bytes()).code(), (403, "login_disabled"));
    service.create(&token, EOA, "default");
}

#[test]
fn with_a_list_no_challenge_and_no_wrong_signature_tells_who_is_on_it() {
    let installation = Installation::new();
    let service = serve(&installation, EOA);
    let (listed, other) = (challenge(&service, EOA), challenge(&service, OTHER_EOA));
    assert_eq!((listed.status, other.status), (200, 200));
    let shape = |answer: &Answer, eoa: &str| {
        let mut body = answer.body.clone();
        for member in ["challenge_id", "nonce", "message", "typed_data"] {
            body[member] = json!(body[member].to_string().len());
        }
        (body.to_string().replace(eoa, "EOA"), answer.raw.len())
    };
    assert_eq!(shape(&listed, EOA), shape(&other, OTHER_EOA));
    // Another EOA's signature: one answer for both.
    let third = Wallet::of("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
    let refused = |offered: &Answer| {
        let signature = third.typed(&offered.body["typed_data"]);
        let answer = verify(&service, &offered.body, &signature);
        (answer.status, answer.body["code"].clone(), answer.body["error"].clone())
    };
    assert_eq!(refused(&listed), refused(&other));
    // Only the owner of an EOA learns that it is not listed.
    let own = verify(&service, &other.body, &Wallet::of(OTHER_EOA).typed(&other.body["typed_data"]));
    assert_eq!(own.code(), (403, "forbidden"));
    let own =
        post_signed(&service, &Wallet::of(OTHER_EOA), OTHER_EOA, "/v1/keys", &json!({"eoa": OTHER_EOA}));
    assert_eq!(own.code(), (403, "forbidden"));
    let own = verify(&service, &listed.body, &Wallet::of(EOA).typed(&listed.body["typed_data"]));
    assert_eq!(own.status, 200, "{own:?}");
}

#[test]
fn every_eoa_logs_in_only_where_the_configuration_says_so_and_says_nothing_else() {
    let installation = Installation::new();
    let service = serve(&installation, "*");
    for eoa in [EOA, OTHER_EOA] {
        let offered = challenge(&service, eoa);
        let answer = verify(&service, &offered.body, &Wallet::of(eoa).typed(&offered.body["typed_data"]));
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    service.stop();
    let mut command = installation.command(&["serve"]);
    command.env("AVS_KMS__AUTH__ALLOWED_OPERATORS", format!("*,{EOA}"));
    let output = crate::support::process::output(&mut command);
    let said = crate::support::text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("auth.allowed_operators"), "{said}");
}
