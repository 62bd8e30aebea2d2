//! The parsers of what clients send, each with what must hold for any bytes. The fuzz targets in `fuzz/` and their
//! short form in the test suite call them.
#![allow(
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a property that does not hold must stop a fuzzer"
)]

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::auth::{AccessToken, AccessTokenId, CertificateFingerprint, Credentials, authenticate};
use crate::http::dto::invalid_value::from_value;
use crate::http::dto::point::Point;
use crate::http::dto::values::{VersionChoice, VersionNumber, parse_address, parse_bytes};
use crate::http::extract::body as json_body;
use crate::http::extract::strict_json;
use crate::http::routes::access_tokens::IssueBody;
use crate::http::routes::auth::{RequestChallengeBody, VerifyChallengeBody};
use crate::http::routes::keys::{CreateKeyBody, RotateKeyBody};
use crate::http::routes::schedule::SetScheduleBody;
use crate::http::routes::signing::{ScalarMulBody, SignDigestBody, SignRegistrationBody};
use crate::key::{Eoa, KeyName};
use crate::service::{CreateKey, RotateKey, ServiceError, Sign};

/// A refusal never repeats a client's bytes in a way that breaks a line or a terminal.
fn refused<T>(result: Result<T, ServiceError>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(failure) => {
            let field = failure.field_name().unwrap_or_default();
            assert!(field.bytes().all(|byte| byte.is_ascii_graphic()), "{field:?}");
            assert!(!failure.message().chars().any(char::is_control), "{:?}", failure.message());
            None
        }
    }
}

fn json_or_text(bytes: &[u8]) -> Value {
    strict_json::parse(bytes).unwrap_or_else(|_| String::from_utf8_lossy(bytes).into_owned().into())
}

/// A G1 point in any of its forms: refused, or the same point when written and read again.
pub fn point(bytes: &[u8]) {
    if let Some(Point(point)) = refused(from_value(json_or_text(bytes))) {
        let again = |value| from_value::<Point>(value).ok().map(|Point(again)| again);
        assert_eq!(again(Value::String(hex::encode(point.to_bytes()))), Some(point));
        let (x, y) = (hex::encode_upper(point.x()), hex::encode(point.y()));
        assert_eq!(again(json!({"X": x, "y": format!("0x{y}")})), Some(point));
    }
}

/// An address: refused, or read back from its EIP-55 form; a mixed-case one is that form.
pub fn address(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(eoa) = refused(parse_address(&text).map_err(ServiceError::from)) {
        assert_eq!(eoa.to_string().parse::<Eoa>(), Ok(eoa));
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(&text);
        let lower = digits == digits.to_lowercase();
        assert!(lower || digits == digits.to_uppercase() || eoa.to_string().ends_with(digits), "{text}");
    }
    if let Ok(name) = text.parse::<KeyName>() {
        assert!(name.as_str() == text && text.is_ascii() && (1..=64).contains(&text.len()));
    }
}

/// 32 bytes of hex: refused, or the same when written again.
pub fn hex32(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(value) = refused(parse_bytes::<32>(&text).map_err(ServiceError::from)) {
        assert!(text.to_lowercase().ends_with(&hex::encode(value)) && text.len() <= 66);
    }
    let _ = refused(from_value::<VersionChoice>(json_or_text(bytes)));
    let _ = refused(from_value::<VersionNumber>(json_or_text(bytes)));
}

/// Credentials: whatever the header holds, without a look-up that succeeds no caller is recognised.
pub fn token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    assert!(authenticate(Some(&text), None, jiff::Timestamp::UNIX_EPOCH, |_| None).is_err());
    let _ = Credentials::parse(&text);
    if let Some(token) = AccessToken::parse(&text) {
        assert!(token.expose() == text && text.len() == 68);
    }
    if let Ok(id) = text.parse::<AccessTokenId>() {
        assert_eq!(id.as_str(), text);
    }
    if let Ok(fingerprint) = text.parse::<CertificateFingerprint>() {
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
    }
}

/// A request body: refused, or an object that every JSON reader reads alike.
pub fn body(bytes: &[u8]) {
    if let Ok(value) = strict_json::parse(bytes) {
        assert_eq!(serde_json::from_slice::<Value>(bytes).ok().as_ref(), Some(&value));
    }
    read::<CreateKeyBody, _>(bytes, |body| drop(refused(CreateKey::try_from(body))));
    read::<RotateKeyBody, _>(bytes, |body| drop(refused(RotateKey::try_from(body))));
    read::<ScalarMulBody, _>(bytes, |body| drop(refused(Sign::try_from(body))));
    read::<SignDigestBody, _>(bytes, |body| drop(refused(Sign::try_from(body))));
    read::<SignRegistrationBody, _>(bytes, |body| drop(refused(Sign::try_from(body))));
    read::<SetScheduleBody, _>(bytes, drop);
    read::<RequestChallengeBody, _>(bytes, drop);
    read::<VerifyChallengeBody, _>(bytes, drop);
    read::<IssueBody, _>(bytes, drop);
}

fn read<B: DeserializeOwned, F: FnOnce(B)>(bytes: &[u8], then: F) {
    if let Some(body) = refused(json_body::parse::<B>(bytes)) {
        then(body);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    const EOA: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

    /// Right inputs with a few bytes changed get further than random ones.
    fn nearly(right: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
        let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 0..4);
        (proptest::sample::select(right), changes).prop_map(|(right, changes)| {
            let mut bytes = right.as_bytes().to_vec();
            for (at, byte, kind) in changes {
                let at = at.index(bytes.len() + 1).min(bytes.len().saturating_sub(1));
                match kind {
                    0 if !bytes.is_empty() => drop(bytes.remove(at)),
                    1 => bytes.insert(at, byte),
                    2 => bytes.truncate(at),
                    _ => bytes.get_mut(at).into_iter().for_each(|it| *it = byte),
                }
            }
            bytes
        })
    }

    const POINTS: &[&str] = &[
        r#"{"x":"0x0000000000000000000000000000000000000000000000000000000000000001","y":"0x0000000000000000000000000000000000000000000000000000000000000002"}"#,
        "00000000000000000000000000000000000000000000000000000000000000010000000000000000000000000000000000000000000000000000000000000002",
        r#"{"X":"0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47","Y":"0x"}"#,
    ];
    const CREDENTIALS: &[&str] = &[
        "Bearer kms_0000000000000000000000000000000000000000000000000000000000000000",
        "kms_0000000000000000000000000000000000000000000000000000000000000000",
        "EIP712 operator=0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266,issued=1,expires=2,nonce=0x00,sig=0x00",
        "operator=0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266,issued=1764072000,expires=1764072300,nonce=0x1111111111111111111111111111111111111111111111111111111111111111,sig=0x",
        "tok_0123456789ab",
        "AA:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00",
    ];
    const BODIES: &[&str] = &[
        r#"{"scopes":["\u001b[2Jkeys:read"]}"#,
        r#"{"eoa":"0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266","name":"a.b_c-1","version":"next","curve":"bn254","policy":{"signing":["point"],"networks":["10.0.0.0/8","::1/128"],"per_minute":1},"scopes":["keys:read"],"signature":"0x00"}"#,
        r#"{"eoa":null,"version":4294967296,"chain_id":18446744073709551615,"digest":"0x","hash":{"x":{},"y":[[]]}}"#,
        r#"{"\u0061":1,"a":2,"\n":1e999}"#,
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("AVS_KMS_LONG").is_some() { 200_000 } else { 4_000 }))]

        #[test]
        fn points(bytes in nearly(POINTS)) { super::point(&bytes); }

        #[test]
        fn addresses(bytes in nearly(&[EOA, "f39fd6e51aad88f6f4ce6ab8827279cfffb92266", "default", "0x"])) { super::address(&bytes); }

        #[test]
        fn hex(bytes in nearly(&["0x00000000000000000000000000000000000000000000000000000000000000ff", "0x", "4294967295", "\"current\""])) { super::hex32(&bytes); }

        #[test]
        fn credentials(bytes in nearly(CREDENTIALS)) { super::token(&bytes); }

        #[test]
        fn bodies(bytes in nearly(BODIES)) { super::body(&bytes); }

        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            super::point(&bytes);
            super::address(&bytes);
            super::hex32(&bytes);
            super::token(&bytes);
            super::body(&bytes);
        }
    }
}
