//! The chain's mathematics against values from EigenLayer's contracts and SDKs (tests/vectors/).
// A vector file that does not have the expected shape has to stop the test there and then.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::str::FromStr;

use alloy_primitives::keccak256;
use ark_bn254::{Fq, Fr, G1Affine, G1Projective, G2Affine, G2Projective};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{BigInteger, PrimeField};
use avs_kms::eigenlayer::{
    Certificate, KEY_REGISTRAR_VERSION, KeyRegistration, PubkeyRegistration, PubkeyRegistrationParams,
    apk_registry_accepts, hash_to_g1, key_data, operator_id, same_key, signature_bytes,
    signature_verifier_accepts, verify,
};
use hsm::{G1Point, G2Point};
use serde_json::{Value, json};

fn load(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a Vec<Value> {
    value[name].as_array().unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}"))
}

fn bytes<const N: usize>(value: &Value, name: &str) -> [u8; N] {
    hex::decode(text(value, name).trim_start_matches("0x")).unwrap().try_into().unwrap()
}

fn g1(value: &Value, name: &str) -> G1Point {
    G1Point::from_bytes(&bytes(value, name)).unwrap()
}

fn g2(value: &Value, name: &str) -> G2Point {
    G2Point::from_bytes(&bytes(value, name)).unwrap()
}

fn chain_id(value: &Value) -> u64 {
    value["domain"]["chainId"].as_u64().unwrap()
}

/// What EIP-712 has a wallet sign.
fn typed_data(domain_separator: [u8; 32], struct_hash: [u8; 32]) -> [u8; 32] {
    keccak256([&b"\x19\x01"[..], &domain_separator, &struct_hash].concat()).0
}

/// The key pair of a published test scalar, by arkworks.
fn key_pair(decimal: &str) -> (G1Point, G2Point) {
    let scalar = Fr::from_str(decimal).unwrap();
    (
        (G1Affine::generator() * scalar).into_affine().try_into().unwrap(),
        (G2Affine::generator() * scalar).into_affine().try_into().unwrap(),
    )
}

#[test]
fn hashes_every_digest_to_the_point_of_the_contract() {
    let file = load(include_str!("vectors/hash-to-g1.json"));
    for vector in list(&file, "vectors") {
        let point = hash_to_g1(&bytes(vector, "digest"));
        let expected = [bytes::<32>(vector, "x"), bytes(vector, "y")].concat();
        assert_eq!(point.to_bytes()[..], expected, "{}", text(vector, "origin"));
    }
    assert_eq!(list(&file, "vectors").len(), 49);
}

#[test]
fn accepts_every_published_signature() {
    let file = load(include_str!("vectors/bls-sign.json"));
    for vector in list(&file, "vectors") {
        let origin = text(vector, "origin");
        let digest = bytes(vector, "digest");
        let hash = hash_to_g1(&digest);
        let signature = g1(vector, "signature");
        let (p1, p2) = (g1(vector, "publicKeyG1"), g2(vector, "publicKeyG2"));

        assert_eq!(hash.to_bytes(), bytes(vector, "messagePoint"), "{origin}");
        assert_eq!(operator_id(&p1), bytes(vector, "operatorId"), "{origin}");
        assert!(same_key(&p1, &p2), "{origin}");
        assert!(verify(&signature, &hash, &p2), "{origin}");
        assert!(apk_registry_accepts(&signature, &hash, &p1, &p2), "{origin}");
        assert!(signature_verifier_accepts(&digest, &signature, &p1, &p2), "{origin}");
    }
    assert_eq!(list(&file, "vectors").len(), 15);
}

#[test]
fn builds_the_digests_of_the_contracts_and_accepts_their_signatures() {
    let file = load(include_str!("vectors/eip712.json"));
    let mut checked = [0; 3];
    for vector in list(&file, "vectors") {
        let kind = text(vector, "kind");
        let digest = match kind {
            "KeyRegistrar.registerKey" => {
                checked[0] += 1;
                let registration = KeyRegistration {
                    chain_id: chain_id(vector),
                    key_registrar: bytes(&vector["domain"], "verifyingContract"),
                    version: KEY_REGISTRAR_VERSION,
                    operator: bytes(vector, "operator"),
                    avs: bytes(vector, "avs"),
                    operator_set_id: vector["operatorSetId"].as_u64().unwrap().try_into().unwrap(),
                    key_data: &bytes(vector, "keyData"),
                };
                assert_eq!(text(&vector["domain"], "version"), KEY_REGISTRAR_VERSION);
                let separator = registration.domain_separator();
                assert_eq!(separator, bytes(vector, "domainSeparator"), "{vector}");
                assert_eq!(registration.digest(), typed_data(separator, registration.struct_hash()));
                registration.digest()
            }
            "RegistryCoordinator.pubkeyRegistrationMessageHash" => {
                checked[1] += 1;
                let registration = PubkeyRegistration {
                    chain_id: chain_id(vector),
                    registry_coordinator: bytes(&vector["domain"], "verifyingContract"),
                    operator: bytes(vector, "operator"),
                };
                let separator = registration.domain_separator();
                assert_eq!(separator, bytes(vector, "domainSeparator"), "{vector}");
                assert_eq!(registration.digest(), typed_data(separator, registration.struct_hash()));
                registration.digest()
            }
            "BN254CertificateVerifier.calculateCertificateDigest" => {
                checked[2] += 1;
                Certificate {
                    reference_timestamp: vector["referenceTimestamp"].as_u64().unwrap().try_into().unwrap(),
                    message_hash: bytes(vector, "messageHash"),
                }
                .digest()
            }
            other => panic!("a vector of an unknown kind: {other}"),
        };
        assert_eq!(digest, bytes(vector, "digest"), "{vector}");

        let hash = hash_to_g1(&digest);
        assert_eq!(hash.to_bytes(), bytes(vector, "messagePoint"), "{vector}");
        let (p1, p2) = key_pair(text(vector, "privateKey"));
        let signature = g1(vector, "signature");
        assert!(verify(&signature, &hash, &p2), "{vector}");
        if kind == "RegistryCoordinator.pubkeyRegistrationMessageHash" {
            assert!(apk_registry_accepts(&signature, &hash, &p1, &p2), "{vector}");
        } else {
            assert!(signature_verifier_accepts(&digest, &signature, &p1, &p2), "{vector}");
        }
    }
    assert_eq!(checked, [3, 2, 3]);
}

#[test]
fn lays_out_keys_as_the_key_registrar_takes_them() {
    let file = load(include_str!("vectors/encodings.json"));
    for vector in list(&file, "vectors") {
        let p1 = g1(&vector["g1"], "evmUncompressed64");
        let p2 = g2(&vector["g2"], "evmUncompressed128_c1c0");
        assert_eq!(key_data(&p1, &p2), bytes(vector, "keyRegistrarKeyData192"));
        assert_eq!(operator_id(&p1), bytes(vector, "operatorId"));
        assert_eq!(signature_bytes(&p1), bytes(&vector["g1"], "evmUncompressed64"));
    }
    assert_eq!(list(&file, "vectors").len(), 10);
}

#[test]
fn writes_registration_params_as_nested_lists() {
    let vector = &load(include_str!("vectors/bls-sign.json"))["vectors"][0];
    let params = PubkeyRegistrationParams::new(
        &g1(vector, "signature"),
        &g1(vector, "publicKeyG1"),
        &g2(vector, "publicKeyG2"),
    );
    assert_eq!(
        serde_json::to_value(params).unwrap(),
        json!([
            [
                "0x0d8aad2cf07d26e033a5748f847cef35f918e1a6cdbb0f98dc5957a7fc0360d3",
                "0x2a45b522bbbe7bd8cd29c07d34807d3fba7aeec7065ffaba96dd5dc97a13ad4e"
            ],
            [
                "0x009d50828897fe208275d989abddcad762bf1bb1a089d5ad40ca5dc78e20faac",
                "0x256c79f6817fd79f3a4898e41b5212ccae66d5e9441c9c76f239a2966f24ba5e"
            ],
            [
                [
                    "0x225554388e71f9eb5b46bd3813aabe8f3e2de4b965ff3727ada663f39b01f6e7",
                    "0x0f1c11ddf2169ba7b050f0cdc44223363a8912f0f3a9362d1d7ce0aa78fe864a"
                ],
                [
                    "0x2bb844ee415b8941017bd0f88d1f4e98a33ffaf917fdce5430ba36dbc5dfc1fe",
                    "0x10d6ada6d8aa5fa3a4309df678bf6f370301f78e514b842ae50fea2afc54585c"
                ]
            ]
        ])
    );
}

#[test]
fn reads_solidity_g2_keys_imaginary_limb_first_and_only_so() {
    let file = load(include_str!("vectors/g2-public-keys.json"));
    let limbs = |pair: &Value| {
        [0, 1].map(|i| Fq::from_str(pair[i].as_str().unwrap()).unwrap().into_bigint().to_bytes_be()).concat()
    };
    let encode = |x: &Value, y: &Value| <[u8; 128]>::try_from([limbs(x), limbs(y)].concat()).unwrap();
    for vector in list(&file, "vectors") {
        let (p1, p2) = key_pair(text(vector, "privateKey"));
        let solidity = encode(&vector["solidityX"], &vector["solidityY"]);
        assert_eq!(p2.to_bytes(), solidity);
        assert!(same_key(&p1, &G2Point::from_bytes(&solidity).unwrap()));

        let swapped = encode(&vector["c0_c1"]["x"], &vector["c0_c1"]["y"]);
        assert!(G2Point::from_bytes(&swapped).is_err());
    }
    assert_eq!(list(&file, "vectors").len(), 3);
}

#[test]
fn accepts_sums_of_signatures_under_sums_of_keys_only() {
    let file = load(include_str!("vectors/aggregate.json"));
    let digest = bytes(&file, "digest");
    let hash = hash_to_g1(&digest);
    assert_eq!(hash.to_bytes(), bytes(&file, "messagePoint"));

    let keys = list(&file, "keys");
    for key in keys {
        assert!(same_key(&g1(key, "g1"), &g2(key, "g2")));
        assert!(signature_verifier_accepts(&digest, &g1(key, "signature"), &g1(key, "g1"), &g2(key, "g2")));
    }

    let aggregates = list(&file, "aggregates");
    for aggregate in aggregates {
        let signers: Vec<_> =
            list(aggregate, "signers").iter().map(|i| &keys[i.as_u64().unwrap() as usize]).collect();
        let sum = |name: &str| -> G1Point {
            let sum: G1Projective = signers.iter().map(|key| G1Affine::from(&g1(key, name))).sum();
            sum.into_affine().try_into().unwrap()
        };
        let apk_g2: G2Projective = signers.iter().map(|key| G2Affine::from(&g2(key, "g2"))).sum();
        let apk_g2 = G2Point::try_from(apk_g2.into_affine()).unwrap();
        let (signature, apk_g1) = (sum("signature"), sum("g1"));

        assert_eq!(signature.to_bytes(), bytes(aggregate, "signature"));
        assert_eq!(apk_g1.to_bytes(), bytes(aggregate, "apkG1"));
        assert_eq!(apk_g2.to_bytes(), bytes(aggregate, "apkG2"));
        assert!(signature_verifier_accepts(&digest, &signature, &apk_g1, &apk_g2));
    }
    assert_eq!((keys.len(), aggregates.len()), (5, 4));

    // A signer who did not sign makes the sum a signature by another key.
    let (one, all) = (&aggregates[0], &aggregates[2]);
    assert!(!verify(&g1(one, "signature"), &hash, &g2(all, "apkG2")));
}
