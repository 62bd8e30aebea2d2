//! Values of bodies, one type per form: forgiving in form, strict in meaning.
//!
//! A type of a request reads itself and a type of a response writes itself; both describe themselves in the OpenAPI
//! document. Not for: rules that need two members of a body (the body's own conversion).

use std::fmt;

use jiff::Timestamp;
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::OneOfBuilder;

use super::invalid_value::InvalidValue;
use super::text::{choice, has_schema, name_pattern, request_number, request_text, response_text};
use crate::auth::{self, MAX_PATH_BYTES, Scope, SignatureKind, Subject};
use crate::key::ScheduleScope;
use crate::key::{Eoa, KeyName, KeyState, KeyVersionNumber, MOST_DAYS, RetireOn, VersionSelector};
use crate::request_text::is_visible;
use crate::service::{ErrorCode, SHORTEST_GRACE_DAYS};

const EXAMPLE_ADDRESS: Option<&str> = Some("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
pub(super) const EXAMPLE_BYTES32: Option<&str> =
    Some("0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd46");

request_text! {
    /// An address: any letter case, `0x` optional; a mixed-case one must have a valid EIP-55 checksum.
    Address(Eoa) = "^(0[xX])?[0-9a-fA-F]{40}$", EXAMPLE_ADDRESS, parse_address;

    /// The name of a key among those of its EOA.
    Name(KeyName) = concat!("^", name_pattern!(), "$"), Some("default"), parse_name;

    /// A key's name, or `*` for every key of the EOA.
    NameOrAll(ScheduleScope) = concat!("^(", name_pattern!(), "|[*])$"), None, |text| {
        text.parse().map_err(|_| InvalidValue::request("expected a key name, or \"*\" for every key of the EOA"))
    };

    /// 32 bytes of hex; `0x` optional.
    Hex32([u8; 32]) = "^(0[xX])?[0-9a-fA-F]{64}$", EXAMPLE_BYTES32, parse_bytes;

    /// A signature: hex, `0x` optional.
    SignatureBytes(Vec<u8>) = "^(0[xX])?([0-9a-fA-F]{2}){1,8192}$", None, parse_hex;

    /// The reason of the change, for the audit log: visible characters and spaces.
    Reason(String) = r"^[^\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]{1,200}$", None, |text| {
        let fits = (1..=200).contains(&text.chars().count()) && text.chars().all(is_visible);
        let error = || InvalidValue::request("expected 1 to 200 visible characters");
        fits.then(|| text.to_owned()).ok_or_else(error)
    };

    /// An address, or `*` for every EOA.
    AddressOrAll(Subject) = "^((0[xX])?[0-9a-fA-F]{40}|[*])$", None, |text| {
        text.parse().map_err(|error: crate::key::AddressError| invalid_address(&error))
    };

    /// The id of an access token.
    AccessTokenId(auth::AccessTokenId) = "^tok_[0-9a-f]{12}$", None, |text| {
        text.parse().map_err(|error: &'static str| InvalidValue::request(error))
    };

    /// The SHA-256 fingerprint of a client certificate.
    CertificateFingerprint(auth::CertificateFingerprint) = "^([0-9a-fA-F]{2}:?){32}$", None, |text| {
        text.parse().map_err(|error: auth::ParseFingerprintError| InvalidValue::request(error.to_string()))
    };
}

request_text! {
    /// The path of a request to be signed, with its query.
    RequestPath(String) = "^/[!-~]{0,511}$", None, |text| {
        let fits = text.starts_with('/') && text.len() <= MAX_PATH_BYTES;
        let message = format!("expected / and at most {MAX_PATH_BYTES} visible ASCII characters");
        let error = || InvalidValue::request(message);
        (fits && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| text.to_owned()).ok_or_else(error)
    };
}

choice! {
    /// What an access token allows.
    ScopeName(Scope);
    /// A kind of signature.
    SignatureKindName(SignatureKind);
    /// The state of a version of a key.
    StateName(KeyState);
    /// What retires the old version: a confirmation, or the end of the overlap.
    RetireOnName(RetireOn);
}

request_number! {
    /// A version of a key, from 1.
    VersionNumber(u32) = 1, u64::from(u32::MAX);
    /// EIP-155 chain id.
    ChainId(u64) = 0, i64::MAX.unsigned_abs();
    /// The id of an operator set of the AVS.
    OperatorSetId(u32) = 0, u64::from(u32::MAX);
    /// Unix seconds.
    UnixSeconds(u32) = 0, u64::from(u32::MAX);
    /// A lifetime in seconds.
    TtlSeconds(u32) = 1, u64::from(u32::MAX);
    /// Days of a schedule.
    Days(u32) = 0, u64::from(MOST_DAYS);
    /// Days between the announcement of a rotation and the rotation.
    AnnounceDays(u32) = 0, u64::from(MOST_DAYS) - 1;
    /// Hours over which due dates are spread.
    JitterHours(u32) = 0, 24 * u64::from(MOST_DAYS);
    /// Days until a scheduled destruction.
    GraceDays(u32) = u64::from(SHORTEST_GRACE_DAYS), u64::from(MOST_DAYS);
    /// A whole number of seconds.
    Seconds(u64) = 0, u64::MAX;
    /// A count.
    Count(u64) = 0, u64::MAX;
    /// Signatures per minute. A key that signs nothing has `"signing": []`.
    PerMinute(u32) = 1, u64::from(u32::MAX);
}

response_text! {
    /// An address in EIP-55 form.
    ChecksumAddress(Eoa) = "^0x[0-9a-fA-F]{40}$", EXAMPLE_ADDRESS, ToString::to_string;
    /// 32 bytes, big-endian, lower case.
    Bytes32([u8; 32]) = "^0x[0-9a-f]{64}$", EXAMPLE_BYTES32, |bytes| hex0x(bytes);
    /// 64 bytes, `x` then `y`, lower case.
    Bytes64([u8; 64]) = "^0x[0-9a-f]{128}$", None, |bytes| hex0x(bytes);
    /// 192 bytes, the KeyRegistrar form `g1.x g1.y g2.x[0] g2.x[1] g2.y[0] g2.y[1]`, lower case.
    KeyData([u8; 192]) = "^0x[0-9a-f]{384}$", None, |bytes| hex0x(bytes);
    /// RFC 3339, UTC.
    Time(Timestamp) = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$", Some("2026-11-25T12:00:00Z"), ToString::to_string;
}

/// `0x` and lower-case digits.
pub(crate) fn hex0x(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// The method of a request to be signed.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum MethodName {
    Get,
    Post,
}

impl MethodName {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// The one curve.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Curve {
    Bn254,
}

/// Which version of a key: a number from 1, `current` (the active one) or `next` (the newest pending one).
#[derive(Clone, Copy, Debug)]
pub(crate) struct VersionChoice(pub(crate) VersionSelector);

impl<'de> Deserialize<'de> for VersionChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Choice;

        impl Visitor<'_> for Choice {
            type Value = VersionChoice;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a version number from 1, \"current\" or \"next\"")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<VersionChoice, E> {
                let version = u32::try_from(number).ok().and_then(KeyVersionNumber::new);
                let version = version
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Unsigned(number), &self))?;
                Ok(VersionChoice(VersionSelector::Number(version)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<VersionChoice, E> {
                match text {
                    "current" => Ok(VersionChoice(VersionSelector::Current)),
                    "next" => Ok(VersionChoice(VersionSelector::Next)),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Other("string"), &self)),
                }
            }
        }

        deserializer.deserialize_any(Choice)
    }
}

has_schema!(VersionChoice, {
    let number = super::text::number_schema("From 1.", 1, u64::from(u32::MAX));
    let alias = super::text::enum_schema(
        "`current` is the active one, `next` the newest pending one.",
        ["current", "next"],
    );
    OneOfBuilder::new().description(Some("Which version of a key.")).item(number).item(alias).into()
});

fn invalid_address(error: &crate::key::AddressError) -> InvalidValue {
    InvalidValue::new(ErrorCode::InvalidAddress, error.to_string())
}

/// An address of a path, a query or a body.
pub(crate) fn parse_address(text: &str) -> Result<Eoa, InvalidValue> {
    text.parse().map_err(|error| invalid_address(&error))
}

/// A key's name in a path or a body.
pub(crate) fn parse_name(text: &str) -> Result<KeyName, InvalidValue> {
    text.parse().map_err(|error: crate::key::NameError| InvalidValue::request(error.to_string()))
}

/// Exactly `N` bytes of hex, `0x` optional.
pub(crate) fn parse_bytes<const N: usize>(text: &str) -> Result<[u8; N], InvalidValue> {
    let digits = without_prefix(text);
    if digits.is_empty() || digits.eq_ignore_ascii_case("0x") {
        let message = "the value is empty: the contract call it comes from returned nothing \
                       (wrong address, wrong chain or no such function)";
        return Err(InvalidValue::new(ErrorCode::RegistryNotFound, message));
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| {
        let message = format!("expected {} hex digits, with or without 0x", 2 * N);
        InvalidValue::new(ErrorCode::InvalidHex, message)
    })?;
    Ok(bytes)
}

fn parse_hex(text: &str) -> Result<Vec<u8>, InvalidValue> {
    hex::decode(without_prefix(text)).map_err(|_| {
        let message = "expected an even number of hex digits, with or without 0x";
        InvalidValue::new(ErrorCode::InvalidHex, message)
    })
}

fn without_prefix(text: &str) -> &str {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text)
}
