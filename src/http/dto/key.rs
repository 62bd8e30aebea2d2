//! `KeyRecord`: a version of a key in a response.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::binding::BindingRecord;
use super::point::{G1, G2};
use super::values::{Bytes32, ChecksumAddress, Curve, KeyData, StateName, Time};
use crate::eigenlayer;
use crate::key::{KeyVersion, VersionTimestamps};

/// A version of a key.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyRecord {
    eoa: ChecksumAddress,
    name: String,
    curve: Curve,
    version: u32,
    state: StateName,
    g1: G1,
    g2: G2,
    key_data: KeyData,
    operator_id: Bytes32,
    created_at: Time,
    created_at_unix: i64,
    #[serde(flatten)]
    times: Times,
    #[serde(skip_serializing_if = "Option::is_none")]
    binding: Option<BindingRecord>,
}

/// When a version changed its state; absent where it has not.
#[derive(Serialize, ToSchema)]
#[schema(as = KeyTimes)]
struct Times {
    #[serde(skip_serializing_if = "Option::is_none")]
    activated_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    activated_at_unix: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retiring_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retiring_at_unix: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retired_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destroy_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destroy_at_unix: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destroyed_at: Option<Time>,
}

impl From<&VersionTimestamps> for Times {
    fn from(times: &VersionTimestamps) -> Self {
        let second = |time: Option<Timestamp>| time.map(Timestamp::as_second);
        Self {
            activated_at: times.activated.map(Time),
            activated_at_unix: second(times.activated),
            retiring_at: times.superseded.map(Time),
            retiring_at_unix: second(times.superseded),
            retired_at: times.retired.map(Time),
            destroy_at: times.destroy.map(Time),
            destroy_at_unix: second(times.destroy),
            destroyed_at: times.destroyed.map(Time),
        }
    }
}

impl From<&KeyVersion> for KeyRecord {
    fn from(version: &KeyVersion) -> Self {
        let key = &version.public_key;
        let binding = version.binding.as_ref();
        Self {
            eoa: ChecksumAddress(version.eoa),
            name: version.name.to_string(),
            curve: Curve::Bn254,
            version: version.version.number(),
            state: StateName(version.state()),
            g1: (&key.g1).into(),
            g2: (&key.g2).into(),
            key_data: KeyData(eigenlayer::key_data(&key.g1, &key.g2)),
            operator_id: Bytes32(eigenlayer::operator_id(&key.g1)),
            created_at: Time(version.times.created),
            created_at_unix: version.times.created.as_second(),
            times: (&version.times).into(),
            binding: binding.map(|binding| BindingRecord::new(binding, version.registration)),
        }
    }
}
