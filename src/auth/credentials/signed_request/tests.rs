#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a failed unwrap is a failed test

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::auth::credentials::signature::tests::{bytes, vectors};
use crate::auth::{InstallationId, Unauthenticated, authenticate_signed};

const ISSUED: u64 = 1_795_640_400;

const INSTALLATION: InstallationId = InstallationId::new([5; 16]);

fn audience() -> Audience {
    Audience::new("https://kms.example:8443/kms", 17_000, INSTALLATION).unwrap()
}

fn request<'a>(audience: &'a Audience, body: &str) -> RequestToSign<'a> {
    RequestToSign {
        audience,
        method: "POST",
        path: "/v1/keys?a=b%20c",
        body_hash: body_hash(body.as_bytes()),
        issued: ISSUED,
        expires: ISSUED + 300,
        nonce: [7; 32],
    }
}

/// The header that the signer of the vectors sends.
fn header() -> String {
    let (vectors, audience) = (vectors(), audience());
    let operator = vectors["address"].as_str().unwrap().parse().unwrap();
    let signature = vectors["request"]["signature"].as_str().unwrap();
    request(&audience, "").credentials(&operator).strip_prefix("EIP712 ").unwrap().to_owned() + signature
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_second(i64::try_from(second).unwrap()).unwrap()
}

#[test]
fn object_and_digest_are_what_ethers_makes_of_the_same_request() {
    let (vectors, audience) = (vectors(), audience());
    let signed = &vectors["request"];
    let request = request(&audience, signed["body"].as_str().unwrap());
    assert_eq!(request.typed_data(), signed["typed_data"]);
    assert_eq!(request.digest().as_slice(), bytes(&signed["digest"]));
    let credentials = Credentials::parse(&header()).unwrap();
    let caller = authenticate_signed(&credentials, &request, at(ISSUED + 10)).unwrap();
    assert_eq!(caller.eoa().unwrap().to_string(), vectors["address"]);
    assert!(caller.is_signed() && !caller.is_local());
}

#[test]
fn a_signature_is_for_one_request_of_one_operator() {
    let (vectors, audience) = (vectors(), audience());
    let body = vectors["request"]["body"].as_str().unwrap().to_owned();
    let good = request(&audience, &body);
    let credentials = Credentials::parse(&header()).unwrap();
    let elsewhere = Audience::new("https://kms.example:8443", 17_000, INSTALLATION).unwrap();
    let staging = InstallationId::new([6; 16]);
    let staging = Audience::new("https://kms.example:8443/kms", 17_000, staging).unwrap();
    for changed in [
        RequestToSign { audience: &elsewhere, ..good },
        RequestToSign { audience: &staging, ..good },
        RequestToSign { method: "GET", ..good },
        RequestToSign { path: "/v1/keys?a=b%20d", ..good },
        RequestToSign { path: "/v1/keys", ..good },
        RequestToSign { body_hash: body_hash(b""), ..good },
        RequestToSign { issued: ISSUED + 1, ..good },
        RequestToSign { expires: ISSUED + 299, ..good },
        RequestToSign { nonce: [8; 32], ..good },
    ] {
        let refused = authenticate_signed(&credentials, &changed, at(ISSUED)).unwrap_err();
        assert_eq!(refused, Unauthenticated::Signature, "{changed:?}");
    }
    let other = Credentials { operator: Eoa::new([1; 20]), ..credentials };
    assert_eq!(authenticate_signed(&other, &good, at(ISSUED)).unwrap_err(), Unauthenticated::Signature);
}

#[test]
fn a_signature_is_good_for_its_five_minutes_and_no_longer() {
    let credentials = Credentials::parse(&header()).unwrap();
    for (now, good) in [
        (ISSUED - 61, false),
        (ISSUED - 60, true),
        (ISSUED, true),
        (ISSUED + 299, true),
        (ISSUED + 300, false),
        (u64::MAX, false),
        (0, false),
    ] {
        assert_eq!(credentials.in_time(now), good, "{now}");
    }
    for (issued, expires) in [(ISSUED, ISSUED), (ISSUED, ISSUED + 301), (ISSUED + 1, ISSUED), (0, u64::MAX)] {
        assert!(!Credentials { issued, expires, ..credentials }.in_time(ISSUED), "{issued} {expires}");
    }
}

#[test]
fn headers_of_another_form_are_refused() {
    let good = header();
    assert!(Credentials::parse(&good).is_ok());
    let spaced = good.replace(',', ", ");
    assert!(Credentials::parse(&spaced).is_ok());
    for (from, to) in [
        ("operator=0x", "operator="),
        ("operator=0x7", "operator=0x"),
        ("operator=0x70997970C5", "operator=0x70997970c5"),
        ("issued=", "issued=+"),
        ("issued=", "issued=0"),
        ("issued=", "issued=-"),
        ("issued=1", "Issued=1"),
        ("expires=1", "expires=99999999999999999999"),
        (",nonce", ",nonce=0x00,nonce"),
        ("nonce=0x07", "nonce=0x"),
        ("nonce=0x07", "nonce=0x0707"),
        ("sig=0x", "sig="),
        (",sig", ",extra=1,sig"),
        (",", ";"),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good);
        assert_eq!(Credentials::parse(&text).unwrap_err(), CredentialsError::Form, "{text}");
    }
    assert_eq!(Credentials::parse(&good[..good.len() - 2]).unwrap_err(), SignatureError::Length.into());
    assert_eq!(Credentials::parse("").unwrap_err(), CredentialsError::Form);
}

proptest! {
    #[test]
    fn damaged_headers_are_refused_or_read_exactly(at in 0_usize..400, byte in any::<u8>()) {
        let mut bytes = header().into_bytes();
        if let Some(place) = bytes.get_mut(at) { *place = byte; }
        fuzz_credentials(&bytes);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz_credentials(&bytes);
    }
}
