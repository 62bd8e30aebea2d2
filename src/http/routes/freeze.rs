//! `/local/freeze` and `/local/unfreeze`: on the local socket only, for `avs-kms freeze | unfreeze`.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use crate::http::dto::values::{Reason, Time};
use crate::http::endpoint::Endpoint;
use crate::http::extract::authenticated::AuthenticatedRequest;
use crate::http::response::json;
use crate::service::operation::{SERVICE_FREEZE, SERVICE_UNFREEZE};
use crate::service::{FreezeSet, ServiceError, SetFreeze};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::post(&SERVICE_FREEZE, "/local/freeze", freeze),
        Endpoint::post(&SERVICE_UNFREEZE, "/local/unfreeze", unfreeze),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub(crate) struct FreezeBody {
    reason: Option<Reason>,
}

#[derive(Serialize)]
struct FreezeRecord {
    frozen: bool,
    changed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<FreezeSet> for FreezeRecord {
    fn from(FreezeSet { freeze, changed }: FreezeSet) -> Self {
        let reason = freeze.as_ref().and_then(|freeze| freeze.reason.clone());
        Self { frozen: freeze.is_some(), changed, since: freeze.map(|freeze| Time(freeze.since)), reason }
    }
}

async fn freeze(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    set(call, request, true).await
}

async fn unfreeze(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    set(call, request, false).await
}

async fn set(call: AuthenticatedRequest, request: Request, frozen: bool) -> Result<Response, ServiceError> {
    let reason = |body: FreezeBody| Ok(body.reason.map(|Reason(reason)| reason));
    let reason = call.parse(request, reason).await?;
    let set = call.services().freezes.set(call.context().clone(), SetFreeze { frozen, reason }).await?;
    Ok(json(StatusCode::OK, &FreezeRecord::from(set)))
}
