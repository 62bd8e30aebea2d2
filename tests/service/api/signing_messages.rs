//! `/v1/sign/…`: messages that the service builds itself.

use avs_kms::eigenlayer::{self, Certificate, KeyRegistration, PubkeyRegistration};
use avs_kms::key::Eoa;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::{EOA, Installation, OTHER_EOA, bytes, g1, g2};

const CONTRACT: &str = "0x54f4bC6bDEbe479173a2bbDc31dD7178408A57A4";

fn address(text: &str) -> [u8; 20] {
    *text.parse::<Eoa>().unwrap().as_bytes()
}

/// A point as the answers have it.
fn split(xy: &Value) -> Value {
    let digits = xy.as_str().unwrap().strip_prefix("0x").unwrap();
    let (x, y) = digits.split_at(64);
    json!({"x": format!("0x{x}"), "y": format!("0x{y}")})
}

/// The signature of an answer is good for the digest, under both of the contracts' equations.
fn assert_signs(body: &Value, digest: &[u8; 32]) {
    assert_eq!(&bytes::<32>(&body["digest"]), digest);
    let hash = eigenlayer::hash_to_g1(digest);
    let (signature, key1, key2) = (g1(&body["signature"]), g1(&body["g1"]), g2(&body["g2"]));
    assert_eq!(g1(&body["hash"]), hash);
    assert!(eigenlayer::apk_registry_accepts(&signature, &hash, &key1, &key2));
    assert!(eigenlayer::signature_verifier_accepts(digest, &signature, &key1, &key2));
}

#[test]
fn digests_registrations_and_certificates_are_built_and_signed_as_the_contracts_do() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    let key = service.create(&token, EOA, "default");
    let sign = |path: &str, body: Value| {
        let answer = service.post(path, Some(&token), &body);
        assert_eq!(answer.status, 200, "{path} {answer:?}");
        answer.body
    };

    let digest = [0x5a; 32];
    let body = sign("/v1/sign/digest", json!({"eoa": EOA, "digest": format!("0x{}", hex::encode(digest))}));
    assert_signs(&body, &digest);

    let registration = |operator: &str| PubkeyRegistration {
        chain_id: 17_000,
        registry_coordinator: address(CONTRACT),
        operator: address(operator),
    };
    let body = json!({"eoa": EOA, "chain_id": 17_000, "registry": "bls_apk_registry", "verifying_contract": CONTRACT});
    assert_signs(&sign("/v1/sign/registration", body.clone()), &registration(EOA).digest());
    let mut other = body;
    other["operator"] = json!(OTHER_EOA);
    assert_signs(&sign("/v1/sign/registration", other), &registration(OTHER_EOA).digest());

    let expected = KeyRegistration {
        chain_id: 1,
        key_registrar: address(CONTRACT),
        version: eigenlayer::KEY_REGISTRAR_VERSION,
        operator: address(EOA),
        avs: address(OTHER_EOA),
        operator_set_id: 7,
        key_data: &bytes::<192>(&key["key_data"]),
    };
    let body = json!({
        "eoa": EOA, "chain_id": 1, "registry": "key_registrar", "verifying_contract": CONTRACT,
        "avs": OTHER_EOA, "operator_set_id": 7,
    });
    assert_signs(&sign("/v1/sign/registration", body), &expected.digest());

    let expected = Certificate { reference_timestamp: 1_795_000_000, message_hash: [9; 32] };
    let body = json!({"eoa": EOA, "reference_timestamp": 1_795_000_000, "message_hash": "09".repeat(32)});
    assert_signs(&sign("/v1/sign/certificate", body), &expected.digest());
}

#[test]
fn published_digests_come_out_for_published_parts() {
    let vectors: Value = serde_json::from_str(include_str!("../../vectors/eip712.json")).unwrap();
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    service.create(&token, EOA, "default");
    let mut checked = 0;
    for vector in vectors["vectors"].as_array().unwrap() {
        let (path, body) = if !vector["referenceTimestamp"].is_null() {
            let body = json!({
                "eoa": EOA, "reference_timestamp": vector["referenceTimestamp"], "message_hash": vector["messageHash"],
            });
            ("/v1/sign/certificate", body)
        } else if vector["domain"]["name"] == "AVSRegistryCoordinator" {
            let domain = &vector["domain"];
            let body = json!({
                "eoa": EOA, "registry": "bls_apk_registry", "chain_id": domain["chainId"],
                "verifying_contract": domain["verifyingContract"], "operator": vector["operator"],
            });
            ("/v1/sign/registration", body)
        } else {
            // The KeyRegistrar's digest has the key in it, and the vectors' keys are not in this token.
            continue;
        };
        let answer = service.post(path, Some(&token), &body);
        assert_eq!((answer.status, &answer.body["digest"]), (200, &vector["digest"]), "{vector}");
        assert_eq!(answer.body["hash"], split(&vector["messagePoint"]), "{vector}");
        checked += 1;
    }
    assert!(checked >= 5, "the vectors are gone");
}

#[test]
fn typed_digest_and_point_signing_are_separate_rights() {
    let installation = Installation::new();
    let create = installation.token_with(EOA, &["keys:create"], "1h");
    let tokens =
        ["sign:point", "sign:digest", "sign:typed"].map(|scope| installation.token_with(EOA, &[scope], "1h"));
    let service = installation.serve();
    service.create(&create, EOA, "default");
    let point = format!("{:064x}{:064x}", 1, 2);
    let calls = [
        ("/v1/scalar_mul", json!({"eoa": EOA, "hash": point})),
        ("/v1/sign/digest", json!({"eoa": EOA, "digest": "01".repeat(32)})),
        (
            "/v1/sign/certificate",
            json!({"eoa": EOA, "reference_timestamp": 1, "message_hash": "01".repeat(32)}),
        ),
    ];
    for (held, token) in tokens.iter().enumerate() {
        for (asked, (path, body)) in calls.iter().enumerate() {
            let expected = if held == asked { 200 } else { 403 };
            assert_eq!(service.post(path, Some(token), body).status, expected, "{path} with {held}");
        }
    }
}

#[test]
fn parts_that_do_not_fit_are_refused_by_name() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    service.create(&token, EOA, "default");
    let registrar = json!({
        "eoa": EOA, "chain_id": 1, "registry": "key_registrar", "verifying_contract": CONTRACT,
        "avs": OTHER_EOA, "operator_set_id": 7,
    });
    for (member, value, code) in [
        ("registry", json!("other"), "invalid_request"),
        ("registry", json!(1), "invalid_request"),
        ("chain_id", json!(-1), "invalid_request"),
        ("chain_id", json!(1.5), "invalid_request"),
        ("chain_id", json!(null), "invalid_request"),
        ("operator_set_id", json!(4_294_967_296_u64), "invalid_request"),
        ("verifying_contract", json!("0x12"), "invalid_address"),
        ("avs", json!(null), "invalid_request"),
        ("operator", json!("0x"), "invalid_address"),
    ] {
        let mut body = registrar.clone();
        body[member] = value.clone();
        let answer = service.post("/v1/sign/registration", Some(&token), &body);
        assert_eq!((answer.code(), &answer.body["field"]), ((400, code), &json!(member)), "{member} {value}");
    }
    let mut foreign = registrar;
    foreign["registry"] = json!("bls_apk_registry");
    let answer = service.post("/v1/sign/registration", Some(&token), &foreign);
    assert_eq!(answer.code(), (400, "invalid_request"), "members of the other registry were taken");
    for (digest, code) in
        [(json!("0x"), "registry_not_found"), (json!("0x12"), "invalid_hex"), (json!(1), "invalid_request")]
    {
        let answer = service.post("/v1/sign/digest", Some(&token), &json!({"eoa": EOA, "digest": digest}));
        assert_eq!((answer.code(), &answer.body["field"]), ((400, code), &json!("digest")));
    }
}

#[test]
fn the_log_says_in_words_what_was_signed() {
    let installation = Installation::new();
    let token = installation.token(EOA);
    let service = installation.serve();
    service.create(&token, EOA, "default");
    let body = json!({"eoa": EOA, "reference_timestamp": 42, "message_hash": "ab".repeat(32)});
    let answer = service.post("/v1/sign/certificate", Some(&token), &body);
    service.stop();
    let record = installation.records_of("sign.certificate").remove(0).to_string();
    let digest = URL_SAFE_NO_PAD.encode(bytes::<32>(&answer.body["digest"]));
    for part in ["bn254_certificate", "42", &"ab".repeat(32), &digest] {
        assert!(record.contains(part), "{part} is not in {record}");
    }
}
