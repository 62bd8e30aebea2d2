//! Policies: what a key allows, in requests and responses.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::list::{List, NetworkList};
use super::values::{PerMinute, SignatureKindName};
use crate::auth::{Networks, Policy, PolicyChange, SignatureKinds};

/// What a key allows; an absent member restricts nothing.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Policy)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub(crate) struct PolicyBody {
    #[schema(value_type = Option<Vec<SignatureKindName>>, max_items = 64)]
    signing: Option<List<SignatureKindName>>,
    networks: Option<NetworkList>,
    per_minute: Option<PerMinute>,
}

impl From<PolicyBody> for Policy {
    fn from(body: PolicyBody) -> Self {
        let mut policy = Self::default();
        if let Some(List(kinds)) = body.signing {
            policy.signing = kinds.into_iter().map(|SignatureKindName(kind)| kind).collect();
        }
        policy.networks = body.networks.map_or_else(Networks::default, |NetworkList(networks)| networks);
        policy.per_minute = body.per_minute.and_then(|PerMinute(number)| NonZeroU32::new(number));
        policy
    }
}

/// A change of what a key allows; an absent member stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub(crate) struct PolicyChangeBody {
    signing: Option<List<SignatureKindName>>,
    networks: Option<NetworkList>,
    /// 0: no limit.
    per_minute: Option<u32>,
}

impl From<PolicyChangeBody> for PolicyChange {
    fn from(body: PolicyChangeBody) -> Self {
        let kinds = |List(kinds): List<SignatureKindName>| {
            kinds.into_iter().map(|SignatureKindName(kind)| kind).collect::<SignatureKinds>()
        };
        Self {
            signing: body.signing.map(kinds),
            networks: body.networks.map(|NetworkList(networks)| networks),
            per_minute: body.per_minute.map(NonZeroU32::new),
        }
    }
}

/// What a key allows.
#[derive(Serialize, ToSchema)]
#[schema(as = KeyPolicy)]
pub(crate) struct PolicyRecord {
    signing: Vec<SignatureKindName>,
    networks: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>)]
    per_minute: Option<NonZeroU32>,
}

impl From<&Policy> for PolicyRecord {
    fn from(policy: &Policy) -> Self {
        Self {
            signing: policy.signing.iter().map(SignatureKindName).collect(),
            networks: policy.networks.iter().map(ToString::to_string).collect(),
            per_minute: policy.per_minute,
        }
    }
}
