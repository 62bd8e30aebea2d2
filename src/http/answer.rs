//! The JSON that leaves: points, key records, signatures (api.md).

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use hsm::{G1Point, G2Point};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::openapi::shapes;
use crate::eigenlayer::{self, PubkeyRegistrationParams};
use crate::key::{Binding, Registry};
use crate::operation::Signed;
use crate::request::RequestId;
use crate::store::{KeyVersion, Registration, Times};

/// An answer with a JSON body.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    // Our own types with text keys: serialising them cannot fail.
    written(status, serde_json::to_vec(body).unwrap_or_default().into())
}

/// An answer with JSON that is written already.
pub(super) fn written(status: StatusCode, json: Bytes) -> Response {
    let mut response = Response::new(Body::from(json));
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
    #[serde(flatten)]
    life: Life,
    #[serde(skip_serializing_if = "Option::is_none")]
    binding: Option<BindingRecord>,
}

/// What has happened to a version; absent where it has not.
#[derive(Serialize, ToSchema)]
struct Life {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<shapes::TimeText>)]
    activated_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    activated_at_unix: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<shapes::TimeText>)]
    retiring_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retiring_at_unix: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<shapes::TimeText>)]
    retired_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<shapes::TimeText>)]
    destroy_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destroy_at_unix: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<shapes::TimeText>)]
    destroyed_at: Option<String>,
}

impl From<&Times> for Life {
    fn from(times: &Times) -> Self {
        let text = |time: Option<Timestamp>| time.map(|time| time.to_string());
        let second = |time: Option<Timestamp>| time.map(Timestamp::as_second);
        Self {
            activated_at: text(times.activated),
            activated_at_unix: second(times.activated),
            retiring_at: text(times.superseded),
            retiring_at_unix: second(times.superseded),
            retired_at: text(times.retired),
            destroy_at: text(times.destroy),
            destroy_at_unix: second(times.destroy),
            destroyed_at: text(times.destroyed),
        }
    }
}

/// Where a version is registered or will be, in the members of `POST /v1/sign/registration`.
#[derive(Serialize, ToSchema)]
#[schema(as = Binding)]
struct BindingRecord {
    chain_id: u64,
    registry: &'static str,
    #[schema(value_type = shapes::Address)]
    verifying_contract: String,
    #[schema(value_type = shapes::Address)]
    operator: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    avs: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator_set_id: Option<u32>,
    /// What the registry says, where it is followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    registered: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registered_since: Option<String>,
}

impl BindingRecord {
    fn new(binding: &Binding, registration: Option<Registration>) -> Self {
        let (avs, operator_set_id) = match &binding.registry {
            Registry::BlsApkRegistry => (None, None),
            Registry::KeyRegistrar { avs, operator_set_id } => {
                (Some(avs.to_string()), Some(*operator_set_id))
            }
        };
        Self {
            chain_id: binding.chain_id,
            registry: binding.registry.as_str(),
            verifying_contract: binding.verifying_contract.to_string(),
            operator: binding.operator.to_string(),
            avs,
            operator_set_id,
            registered: registration.map(|registration| registration.held),
            registered_since: registration.map(|registration| registration.since.to_string()),
        }
    }
}

impl From<&KeyVersion> for KeyRecord {
    fn from(version: &KeyVersion) -> Self {
        let key = &version.public_key;
        Self {
            eoa: version.eoa.to_string(),
            name: version.name.to_string(),
            curve: "bn254",
            version: version.version.number(),
            state: version.state().as_str(),
            g1: (&key.g1).into(),
            g2: (&key.g2).into(),
            key_data: hex0x(&eigenlayer::key_data(&key.g1, &key.g2)),
            operator_id: hex0x(&eigenlayer::operator_id(&key.g1)),
            created_at: version.times.created.to_string(),
            created_at_unix: version.times.created.as_second(),
            life: (&version.times).into(),
            binding: version
                .binding
                .as_ref()
                .map(|binding| BindingRecord::new(binding, version.registration)),
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
