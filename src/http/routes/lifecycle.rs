//! `/v1/keys/activate|retire|disable|enable|destroy|restore`: one body, one way for all.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::dto::key::KeyRecord;
use crate::http::dto::schema;
use crate::http::extract::authenticated::Call;
use crate::http::extract::values;
use crate::http::response::json;
use crate::key::LifecycleAction;
use crate::service::{ChangeKey, Failure, GRACE_DAYS};

#[derive(Serialize, ToSchema)]
#[schema(as = ChangedKey)]
pub(crate) struct ChangedBody {
    #[serde(flatten)]
    record: KeyRecord,
    changed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<KeyRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

/// `POST /v1/keys/activate`
#[utoipa::path(
    post, path = "/v1/keys/activate", operation_id = "activate_version", tag = "Keys",
    summary = "Make a pending version the current one",
    request_body = schema::ChangeBody,
    responses((status = 200, description = "So it is", body = ChangedBody), (status = 404), (status = 409)),
    security(("token" = ["keys:rotate"])),
)]
pub(crate) async fn activate(call: Call, request: Request) -> Result<Response, Failure> {
    change(call, request, LifecycleAction::Activate).await
}

/// `POST /v1/keys/retire`
#[utoipa::path(
    post, path = "/v1/keys/retire", operation_id = "retire_version", tag = "Keys",
    summary = "Let a version that is no longer current refuse",
    request_body = schema::ChangeBody,
    responses((status = 200, description = "So it is", body = ChangedBody), (status = 404), (status = 409)),
    security(("token" = ["keys:rotate"])),
)]
pub(crate) async fn retire(call: Call, request: Request) -> Result<Response, Failure> {
    change(call, request, LifecycleAction::Retire).await
}

/// `POST /v1/keys/disable`
#[utoipa::path(
    post, path = "/v1/keys/disable", operation_id = "disable_version", tag = "Keys",
    summary = "Freeze a version",
    request_body = schema::ChangeBody,
    responses((status = 200, description = "So it is", body = ChangedBody), (status = 404), (status = 409)),
    security(("token" = ["keys:rotate"])),
)]
pub(crate) async fn disable(call: Call, request: Request) -> Result<Response, Failure> {
    change(call, request, LifecycleAction::Disable).await
}

/// `POST /v1/keys/enable`
#[utoipa::path(
    post, path = "/v1/keys/enable", operation_id = "enable_version", tag = "Keys",
    summary = "Thaw a version",
    request_body = schema::ChangeBody,
    responses((status = 200, description = "So it is", body = ChangedBody), (status = 404), (status = 409)),
    security(("token" = ["keys:rotate"])),
)]
pub(crate) async fn enable(call: Call, request: Request) -> Result<Response, Failure> {
    change(call, request, LifecycleAction::Enable).await
}

/// `POST /v1/keys/destroy`
#[utoipa::path(
    post, path = "/v1/keys/destroy", operation_id = "destroy_version", tag = "Keys",
    summary = "Schedule the destruction of a version; takes a signed request",
    request_body = schema::DestroyBody,
    responses((status = 200, description = "So it is", body = ChangedBody), (status = 404), (status = 409)),
    security(("signature" = [])),
)]
pub(crate) async fn destroy(call: Call, request: Request) -> Result<Response, Failure> {
    change(call, request, LifecycleAction::ScheduleDestroy).await
}

/// `POST /v1/keys/restore`
#[utoipa::path(
    post, path = "/v1/keys/restore", operation_id = "restore_version", tag = "Keys",
    summary = "Cancel the destruction of a version; takes a signed request",
    request_body = schema::ChangeBody,
    responses((status = 200, description = "So it is", body = ChangedBody), (status = 404), (status = 409)),
    security(("signature" = [])),
)]
pub(crate) async fn restore(call: Call, request: Request) -> Result<Response, Failure> {
    change(call, request, LifecycleAction::Restore).await
}

async fn change(call: Call, request: Request, change: LifecycleAction) -> Result<Response, Failure> {
    let wish = call
        .parse_change(ChangeKey::operation(change), request, |members| {
            let eoa = members.required("eoa", values::eoa)?;
            let name = members.optional("name", values::name)?.unwrap_or_default();
            let version = members.optional("version", values::version)?;
            let after_days = match change {
                LifecycleAction::ScheduleDestroy => {
                    members.optional("after_days", values::number)?.unwrap_or(GRACE_DAYS)
                }
                LifecycleAction::Activate
                | LifecycleAction::Destroy
                | LifecycleAction::Disable
                | LifecycleAction::Enable
                | LifecycleAction::Restore
                | LifecycleAction::Retire => 0,
            };
            let reason = members.optional("reason", values::reason)?;
            Ok(ChangeKey { eoa, name, version, change, after_days, reason })
        })
        .await?;
    let changed = call.service().change_key(call.context().clone(), wish, call.deadline()).await?;
    let body = ChangedBody {
        record: KeyRecord::from(&*changed.version),
        changed: changed.changed,
        previous: changed.previous.as_deref().map(KeyRecord::from),
        warning: changed.warning,
    };
    Ok(json(StatusCode::OK, &body))
}
