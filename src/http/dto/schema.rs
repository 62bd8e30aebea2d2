//! The forms of values and bodies, for the description alone: `form` and `body` are what reads them.
//!
//! Here are the values, in `requests` the bodies of requests, in `responses` those of answers that no type of a handler is.
#![allow(dead_code, reason = "described, never made")]

mod requests;
mod responses;

use serde::{Deserialize, Serialize};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

pub(crate) use self::requests::*;
pub(crate) use self::responses::*;

/// An address: any letter case, `0x` optional; a mixed-case one must have a right EIP-55 checksum. Answered in EIP-55 form.
#[derive(Deserialize, ToSchema)]
#[schema(value_type = String, pattern = "^(0[xX])?[0-9a-fA-F]{40}$", example = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")]
pub(crate) struct AddressText(String);

/// An address in EIP-55 form.
#[derive(Serialize, ToSchema)]
#[schema(value_type = String, pattern = "^0x[0-9a-fA-F]{40}$", example = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")]
pub(crate) struct Address(String);

/// 32 bytes of hex; `0x` optional.
#[derive(Deserialize, ToSchema)]
#[schema(value_type = String, pattern = "^(0[xX])?[0-9a-fA-F]{64}$", example = "0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd46")]
pub(crate) struct Hex32Text(String);

/// 32 bytes, big-endian, lower case.
#[derive(Serialize, ToSchema)]
#[schema(value_type = String, pattern = "^0x[0-9a-f]{64}$", example = "0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd46")]
pub(crate) struct Hex32(String);

/// 64 bytes, `x` then `y`, lower case.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^0x[0-9a-f]{128}$")]
pub(crate) struct Hex64(String);

/// 192 bytes, the KeyRegistrar form `g1.x g1.y g2.x[0] g2.x[1] g2.y[0] g2.y[1]`, lower case.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^0x[0-9a-f]{384}$")]
pub(crate) struct KeyData(String);

/// The id of a request, in every answer's header `x-request-id`, too.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^req_[0-9a-f]{32}$", example = "req_3f2a9c0d4b5e6f708192a3b4c5d6e7f8")]
pub(crate) struct RequestIdText(String);

/// The name of a key among those of its EOA.
#[derive(Deserialize, ToSchema)]
#[schema(value_type = String, pattern = "^[a-z0-9._-]{1,64}$", example = "default")]
pub(crate) struct NameText(String);

/// RFC 3339, UTC.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$", example = "2026-11-25T12:00:00Z")]
pub(crate) struct TimeText(String);

/// What state a version of a key is in.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum State {
    Pending,
    Active,
    Retiring,
    Retired,
    Disabled,
    DestroyScheduled,
    Destroyed,
}

/// Which version of a key.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum VersionText {
    Number(VersionNumber),
    Word(VersionWord),
}

/// From 1.
#[derive(Deserialize)]
pub(crate) struct VersionNumber(u32);

// The macro takes bounds for members alone.
impl PartialSchema for VersionNumber {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new().schema_type(Type::Integer).description(Some("From 1"));
        number.minimum(Some(1)).maximum(Some(u32::MAX as usize)).into()
    }
}

impl ToSchema for VersionNumber {}

/// `current` is the active one, `next` the newest pending one.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum VersionWord {
    Current,
    Next,
}

/// A point of G1: its coordinates, in either letter case, or 64 bytes `x` then `y`, such as an `eth_call` gives.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum PointText {
    Lower(LowerPoint),
    Upper(UpperPoint),
    Bytes(Hex64Text),
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LowerPoint {
    x: Hex32Text,
    y: Hex32Text,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpperPoint {
    #[serde(rename = "X")]
    x: Hex32Text,
    #[serde(rename = "Y")]
    y: Hex32Text,
}

/// 64 bytes of hex; `0x` optional.
#[derive(Deserialize, ToSchema)]
#[schema(value_type = String, pattern = "^(0[xX])?[0-9a-fA-F]{128}$")]
pub(crate) struct Hex64Text(String);

/// The one curve.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Curve {
    Bn254,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RegistryWord {
    BlsApkRegistry,
    KeyRegistrar,
}

/// Why, for the audit log.
#[derive(Deserialize, ToSchema)]
#[schema(value_type = String, pattern = r"^[^\u0000-\u001f\u007f-\u009f]{1,200}$")]
pub(crate) struct ReasonText(String);

/// A key's name, or `*` for every key of the EOA.
#[derive(Deserialize, ToSchema)]
#[schema(value_type = String, pattern = "^([a-z0-9._-]{1,64}|[*])$")]
pub(crate) struct KeysText(String);

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RetireOnWord {
    Confirmed,
    Overlap,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BlsApkRegistry {
    BlsApkRegistry,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyRegistrar {
    KeyRegistrar,
}

/// What a token allows.
#[derive(Deserialize, ToSchema)]
pub(crate) enum ScopeText {
    #[serde(rename = "keys:read")]
    KeysRead,
    #[serde(rename = "keys:create")]
    KeysCreate,
    #[serde(rename = "keys:rotate")]
    KeysRotate,
    #[serde(rename = "keys:destroy")]
    KeysDestroy,
    #[serde(rename = "sign:point")]
    SignPoint,
    #[serde(rename = "sign:digest")]
    SignDigest,
    #[serde(rename = "sign:typed")]
    SignTyped,
    #[serde(rename = "audit:read")]
    AuditRead,
}

/// A way of signing.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SigningText {
    Point,
    Digest,
    Typed,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Method {
    Get,
    Post,
}
