//! What a key allows, in requests and answers.

use std::num::NonZeroU32;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::auth::{Policy, Signing, UnknownSigning};
use crate::http::dto::schema;
use crate::http::extract::authenticated::Call;
use crate::http::extract::object::{Members, invalid};
use crate::http::extract::values;
use crate::http::response::json;
use crate::service::{Failure, SetPolicy};

#[derive(Serialize, ToSchema)]
#[schema(as = KeyPolicy)]
pub(crate) struct PolicyBody {
    #[schema(value_type = Vec<schema::SigningText>)]
    signing: Vec<&'static str>,
    networks: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u32>)]
    per_minute: Option<NonZeroU32>,
}

impl From<&Policy> for PolicyBody {
    fn from(policy: &Policy) -> Self {
        Self {
            signing: policy.signing.iter().map(Signing::as_str).collect(),
            networks: policy.networks.iter().map(ToString::to_string).collect(),
            per_minute: policy.per_minute,
        }
    }
}

/// `{"signing"?: ["point", "digest", "typed"], "networks"?: ["10.0.0.0/8"], "per_minute"?: 60}`; what is left out is
/// not restricted.
pub(crate) fn policy(value: Value) -> Result<Policy, Failure> {
    let mut members = Members::of("policy.", value).ok_or_else(|| invalid("a policy is an object"))?;
    let kind =
        |word: String| word.parse::<Signing>().map_err(|error: UnknownSigning| invalid(error.to_string()));
    let mut policy = Policy::default();
    if let Some(kinds) = members.optional("signing", |value| values::texts(value, kind))? {
        policy.signing = kinds.into_iter().collect();
    }
    policy.networks = members.optional("networks", values::networks)?.unwrap_or_default();
    policy.per_minute =
        members.optional("per_minute", values::number::<u32>)?.map(at_least_one).transpose()?;
    members.finish()?;
    Ok(policy)
}

fn at_least_one(number: u32) -> Result<NonZeroU32, Failure> {
    let zero = || invalid("a cap is at least 1; a key that signs nothing has \"signing\": []");
    NonZeroU32::new(number).ok_or_else(|| zero().at("policy.per_minute"))
}

/// `POST /local/keys/policy`
pub(crate) async fn set(call: Call, request: Request) -> Result<Response, Failure> {
    let wish = call
        .parse("keys.set_policy", request, |members| {
            Ok(SetPolicy {
                eoa: members.required("eoa", values::eoa)?,
                name: members.optional("name", values::name)?.unwrap_or_default(),
                policy: members.required("policy", policy)?,
            })
        })
        .await?;
    let body = PolicyBody::from(&wish.policy);
    call.service().set_policy(call.context().clone(), wish).await?;
    Ok(json(StatusCode::OK, &serde_json::json!({ "policy": body })))
}
