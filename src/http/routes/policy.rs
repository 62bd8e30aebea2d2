//! `/local/keys/policy`: changes what a key allows, on the local socket only.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use crate::http::dto::policy::{PolicyChangeBody, PolicyRecord};
use crate::http::dto::values::{Address, Name};
use crate::http::endpoint::Endpoint;
use crate::http::extract::authenticated::AuthenticatedRequest;
use crate::http::response::json;
use crate::http::routes::keys::name_or_default;
use crate::service::operation::KEYS_SET_POLICY;
use crate::service::{ServiceError, SetPolicy};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::post(&KEYS_SET_POLICY, "/local/keys/policy", set)]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub(crate) struct SetPolicyBody {
    eoa: Address,
    name: Option<Name>,
    policy: PolicyChangeBody,
}

impl From<SetPolicyBody> for SetPolicy {
    fn from(body: SetPolicyBody) -> Self {
        let SetPolicyBody { eoa: Address(eoa), name, policy } = body;
        Self { eoa, name: name_or_default(name), change: policy.into() }
    }
}

#[derive(Serialize)]
struct PolicySet {
    policy: PolicyRecord,
}

async fn set(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    let set = call.parse(request, |body: SetPolicyBody| Ok(SetPolicy::from(body))).await?;
    let policy = call.services().policies.set(call.context().clone(), set).await?;
    Ok(json(StatusCode::OK, &PolicySet { policy: PolicyRecord::from(&policy) }))
}
