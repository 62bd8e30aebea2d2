//! The JSON that leaves: points, key records, signatures (api.md).

use hsm::{G1Point, G2Point};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::eigenlayer;
use crate::http::dto::schema;
use crate::key::{Binding, Registry};
use crate::key::{KeyVersion, Registration, VersionTimestamps};

/// `0x` and lower-case digits.
pub(crate) fn hex0x(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

#[derive(Serialize, ToSchema)]
pub(crate) struct G1 {
    #[schema(value_type = schema::Hex32)]
    x: String,
    #[schema(value_type = schema::Hex32)]
    y: String,
}

impl From<&G1Point> for G1 {
    fn from(point: &G1Point) -> Self {
        Self { x: hex0x(point.x()), y: hex0x(point.y()) }
    }
}

/// Imaginary coefficient first.
#[derive(Serialize, ToSchema)]
pub(crate) struct G2 {
    #[schema(value_type = [schema::Hex32; 2])]
    x: [String; 2],
    #[schema(value_type = [schema::Hex32; 2])]
    y: [String; 2],
}

impl From<&G2Point> for G2 {
    fn from(point: &G2Point) -> Self {
        Self { x: point.x().each_ref().map(|c| hex0x(c)), y: point.y().each_ref().map(|c| hex0x(c)) }
    }
}

/// `KeyRecord` of api.md.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyRecord {
    #[schema(value_type = schema::Address)]
    eoa: String,
    #[schema(value_type = schema::NameText)]
    name: String,
    #[schema(value_type = schema::Curve)]
    curve: &'static str,
    version: u32,
    #[schema(value_type = schema::State)]
    state: &'static str,
    g1: G1,
    g2: G2,
    #[schema(value_type = schema::KeyData)]
    key_data: String,
    #[schema(value_type = schema::Hex32)]
    operator_id: String,
    #[schema(value_type = schema::TimeText)]
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
    #[schema(value_type = Option<schema::TimeText>)]
    activated_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    activated_at_unix: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::TimeText>)]
    retiring_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retiring_at_unix: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::TimeText>)]
    retired_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::TimeText>)]
    destroy_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destroy_at_unix: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::TimeText>)]
    destroyed_at: Option<String>,
}

impl From<&VersionTimestamps> for Life {
    fn from(times: &VersionTimestamps) -> Self {
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
    #[schema(value_type = schema::Address)]
    verifying_contract: String,
    #[schema(value_type = schema::Address)]
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
