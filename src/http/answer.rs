//! The JSON that leaves: points, key records, signatures (api.md).

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use hsm::{G1Point, G2Point};
use serde::Serialize;
use utoipa::ToSchema;

use super::openapi::shapes;
use crate::eigenlayer::{self, PubkeyRegistrationParams};
use crate::operation::Signed;
use crate::request::RequestId;
use crate::store::KeyVersion;

/// An answer with a JSON body.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    // Our own types with text keys: serialising them cannot fail.
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// `0x` and lower-case digits.
pub(super) fn hex0x(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

#[derive(Serialize, ToSchema)]
pub(super) struct G1 {
    #[schema(value_type = shapes::Hex32)]
    x: String,
    #[schema(value_type = shapes::Hex32)]
    y: String,
}

impl From<&G1Point> for G1 {
    fn from(point: &G1Point) -> Self {
        Self { x: hex0x(point.x()), y: hex0x(point.y()) }
    }
}

/// Imaginary coefficient first.
#[derive(Serialize, ToSchema)]
pub(super) struct G2 {
    #[schema(value_type = [shapes::Hex32; 2])]
    x: [String; 2],
    #[schema(value_type = [shapes::Hex32; 2])]
    y: [String; 2],
}

impl From<&G2Point> for G2 {
    fn from(point: &G2Point) -> Self {
        Self { x: point.x().each_ref().map(|c| hex0x(c)), y: point.y().each_ref().map(|c| hex0x(c)) }
    }
}

/// `KeyRecord` of api.md.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyRecord {
    #[schema(value_type = shapes::Address)]
    eoa: String,
    #[schema(value_type = shapes::NameText)]
    name: String,
    #[schema(value_type = shapes::Curve)]
    curve: &'static str,
    version: u32,
    #[schema(value_type = shapes::State)]
    state: &'static str,
    g1: G1,
    g2: G2,
    #[schema(value_type = shapes::KeyData)]
    key_data: String,
    #[schema(value_type = shapes::Hex32)]
    operator_id: String,
    #[schema(value_type = shapes::TimeText)]
    created_at: String,
    created_at_unix: i64,
}

impl From<&KeyVersion> for KeyRecord {
    fn from(version: &KeyVersion) -> Self {
        let key = &version.public_key;
        Self {
            eoa: version.eoa.to_string(),
            name: version.name.to_string(),
            curve: "bn254",
            version: version.version.number(),
            state: version.state.as_str(),
            g1: (&key.g1).into(),
            g2: (&key.g2).into(),
            key_data: hex0x(&eigenlayer::key_data(&key.g1, &key.g2)),
            operator_id: hex0x(&eigenlayer::operator_id(&key.g1)),
            created_at: version.created_at.to_string(),
            created_at_unix: version.created_at.as_second(),
        }
    }
}

/// `SignResult` of api.md.
#[derive(Serialize, ToSchema)]
pub(super) struct SignResult {
    signature: G1,
    g1: G1,
    g2: G2,
    #[schema(value_type = shapes::Address)]
    eoa: String,
    #[schema(value_type = shapes::NameText)]
    name: String,
    version: u32,
    #[schema(value_type = shapes::Hex64)]
    signature_bytes: String,
    #[schema(value_type = shapes::KeyData)]
    key_data: String,
    #[schema(value_type = shapes::Hex32)]
    operator_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<shapes::Hex32>)]
    digest: Option<String>,
    hash: G1,
    evm: Evm,
    audit: AuditReceipt,
    #[schema(value_type = shapes::RequestIdText)]
    request_id: String,
}

#[derive(Serialize, ToSchema)]
struct Evm {
    /// BLSApkRegistry's struct as nested lists: signature, G1 key, G2 key.
    #[schema(value_type = Vec<Vec<serde_json::Value>>)]
    pubkey_registration_params: PubkeyRegistrationParams,
}

#[derive(Serialize, ToSchema)]
struct AuditReceipt {
    seq: u64,
    log: String,
    #[schema(value_type = shapes::Hex32)]
    record_hash: String,
}

impl SignResult {
    pub(super) fn new(signed: &Signed, request: RequestId) -> Self {
        let key = &signed.version.public_key;
        Self {
            signature: (&signed.signature).into(),
            g1: (&key.g1).into(),
            g2: (&key.g2).into(),
            eoa: signed.version.eoa.to_string(),
            name: signed.version.name.to_string(),
            version: signed.version.version.number(),
            signature_bytes: hex0x(&signed.signature.to_bytes()),
            key_data: hex0x(&eigenlayer::key_data(&key.g1, &key.g2)),
            operator_id: hex0x(&eigenlayer::operator_id(&key.g1)),
            digest: signed.digest.map(|digest| hex0x(&digest)),
            hash: (&signed.point).into(),
            evm: Evm {
                pubkey_registration_params: PubkeyRegistrationParams::new(
                    &signed.signature,
                    &key.g1,
                    &key.g2,
                ),
            },
            audit: AuditReceipt {
                seq: signed.receipt.seq,
                log: signed.receipt.log.to_string(),
                record_hash: hex0x(&signed.receipt.record_hash),
            },
            request_id: request.to_string(),
        }
    }
}
