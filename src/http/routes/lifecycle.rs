//! `/v1/keys/activate`, `retire`, `unretire`, `disable`, `enable`, `destroy`, `restore`: changes of the state of a version.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::dto::key::KeyRecord;
use crate::http::dto::values::{Address, GraceDays, Name, Reason, VersionChoice};
use crate::http::endpoint::Endpoint;
use crate::http::extract::authenticated::AuthenticatedRequest;
use crate::http::openapi::description::{Description, Tag};
use crate::http::response::json;
use crate::http::routes::keys::name_or_default;
use crate::key::LifecycleAction;
use crate::service::operation::{
    KEYS_ACTIVATE, KEYS_DESTROY, KEYS_DISABLE, KEYS_ENABLE, KEYS_RESTORE, KEYS_RETIRE, KEYS_UNRETIRE,
};
use crate::service::{ChangeKey, GRACE_DAYS, ServiceError};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    let described = |summary| {
        Description::new(Tag::Keys, summary)
            .returns::<ChangedKey>(200, "The version is in this state.")
            .refuses(&[404, 409])
    };
    let change = |summary| described(summary).body::<ChangeKeyBody>();
    let change_named = |summary| described(summary).body::<ChangeVersionBody>();
    vec![
        Endpoint::post(&KEYS_ACTIVATE, "/v1/keys/activate", activate)
            .describe(change("Make a pending or retiring version the current one")),
        Endpoint::post(&KEYS_RETIRE, "/v1/keys/retire", retire)
            .describe(change("Retire a version that is no longer current: it will no longer sign")),
        Endpoint::post(&KEYS_UNRETIRE, "/v1/keys/unretire", unretire)
            .describe(change_named("Make a retired version retiring again; requires a signed request")),
        Endpoint::post(&KEYS_DISABLE, "/v1/keys/disable", disable)
            .describe(change("Disable a version until it is enabled again")),
        Endpoint::post(&KEYS_ENABLE, "/v1/keys/enable", enable)
            .describe(change("Enable a disabled version again")),
        Endpoint::post(&KEYS_DESTROY, "/v1/keys/destroy", destroy).describe(
            described("Schedule the destruction of a version; requires a signed request")
                .body::<DestroyKeyBody>(),
        ),
        Endpoint::post(&KEYS_RESTORE, "/v1/keys/restore", restore)
            .describe(change_named("Cancel the destruction of a version; requires a signed request")),
    ]
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub(crate) struct ChangeKeyBody {
    eoa: Address,
    name: Option<Name>,
    version: Option<VersionChoice>,
    reason: Option<Reason>,
}

impl ChangeKeyBody {
    fn into_change(self, change: LifecycleAction) -> ChangeKey {
        let Self { eoa: Address(eoa), name, version, reason } = self;
        ChangeKey {
            eoa,
            name: name_or_default(name),
            version: version.map(|VersionChoice(version)| version),
            change,
            after_days: 0,
            reason: reason.map(|Reason(reason)| reason),
        }
    }
}

/// A change of a version that is never the usual one: it is named.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub(crate) struct ChangeVersionBody {
    eoa: Address,
    name: Option<Name>,
    version: VersionChoice,
    reason: Option<Reason>,
}

impl ChangeVersionBody {
    fn into_change(self, change: LifecycleAction) -> ChangeKey {
        let Self { eoa, name, version, reason } = self;
        ChangeKeyBody { eoa, name, version: Some(version), reason }.into_change(change)
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub(crate) struct DestroyKeyBody {
    eoa: Address,
    name: Option<Name>,
    version: VersionChoice,
    /// Days until the destruction; 30 if absent.
    after_days: Option<GraceDays>,
    reason: Option<Reason>,
}

impl From<DestroyKeyBody> for ChangeKey {
    fn from(body: DestroyKeyBody) -> Self {
        let DestroyKeyBody { eoa, name, version, after_days, reason } = body;
        let after_days = after_days.map_or(GRACE_DAYS, |GraceDays(days)| days);
        let body = ChangeKeyBody { eoa, name, version: Some(version), reason };
        Self { after_days, ..body.into_change(LifecycleAction::ScheduleDestroy) }
    }
}

#[derive(Serialize, ToSchema)]
struct ChangedKey {
    #[serde(flatten)]
    record: KeyRecord,
    changed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<KeyRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

async fn activate(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    change(call, request, |body: ChangeKeyBody| body.into_change(LifecycleAction::Activate)).await
}

async fn retire(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    change(call, request, |body: ChangeKeyBody| body.into_change(LifecycleAction::Retire)).await
}

async fn unretire(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    change(call, request, |body: ChangeVersionBody| body.into_change(LifecycleAction::Unretire)).await
}

async fn disable(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    change(call, request, |body: ChangeKeyBody| body.into_change(LifecycleAction::Disable)).await
}

async fn enable(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    change(call, request, |body: ChangeKeyBody| body.into_change(LifecycleAction::Enable)).await
}

async fn destroy(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    change(call, request, |body: DestroyKeyBody| ChangeKey::from(body)).await
}

async fn restore(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    change(call, request, |body: ChangeVersionBody| body.into_change(LifecycleAction::Restore)).await
}

async fn change<B: serde::de::DeserializeOwned>(
    call: AuthenticatedRequest,
    request: Request,
    convert: fn(B) -> ChangeKey,
) -> Result<Response, ServiceError> {
    let change = call.parse(request, |body| Ok(convert(body))).await?;
    let changed = call.services().keys.change(call.context().clone(), change, call.deadline()).await?;
    let body = ChangedKey {
        record: KeyRecord::from(&*changed.version),
        changed: changed.changed,
        previous: changed.previous.as_deref().map(KeyRecord::from),
        warning: changed.warning,
    };
    Ok(json(StatusCode::OK, &body))
}
