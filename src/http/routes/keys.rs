//! `/v1/keys…`: create, list, show.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::Scope;
use crate::http::dto::key::KeyRecord;
use crate::http::dto::schema;
use crate::http::dto::signature::SignResult;
use crate::http::extract::authenticated::Call;
use crate::http::extract::object::invalid;
use crate::http::extract::values;
use crate::http::response::json;
use crate::http::routes::policy::{self, PolicyBody};
use crate::key::KeyVersion;
use crate::key::LifecycleState;
use crate::service::{CreateKey, Created, Failure, ListKeys, RotateKey, ShowKey};

#[derive(Serialize, ToSchema)]
#[schema(as = CreatedKey)]
pub(crate) struct CreatedBody {
    #[serde(flatten)]
    record: KeyRecord,
    policy: PolicyBody,
    created: bool,
    /// The proof with which it is registered, where its place is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    registration: Option<SignResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = KeyList)]
pub(crate) struct ListBody {
    #[schema(value_type = schema::Address)]
    eoa: String,
    keys: Vec<KeyRecord>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = KeyWithVersions)]
pub(crate) struct ShowBody {
    #[serde(flatten)]
    record: KeyRecord,
    policy: PolicyBody,
    versions: Vec<KeyRecord>,
}

/// `POST /v1/keys`
#[utoipa::path(
    post, path = "/v1/keys", operation_id = "create_key", tag = "Keys",
    summary = "Make the key of an EOA, or get it if there is one",
    request_body = schema::CreateKeyBody,
    responses((status = 201, description = "Made", body = CreatedBody), (status = 200, description = "There already", body = CreatedBody), (status = 409)),
    security(("token" = ["keys:create"])),
)]
pub(crate) async fn create(call: Call, request: Request) -> Result<Response, Failure> {
    let wish = call
        .parse_change(CreateKey::NAME, request, |members| {
            members.optional("curve", values::curve)?;
            let eoa = members.required("eoa", values::eoa)?;
            let name = members.optional("name", values::name)?.unwrap_or_default();
            let policy = members.optional("policy", policy::policy)?;
            Ok(CreateKey { eoa, name, policy, binding: values::binding(members, eoa)? })
        })
        .await?;
    let created = call.service().create_key(call.context().clone(), wish, call.deadline()).await?;
    made(&call, created, Scope::KeysCreate).await
}

/// `POST /v1/keys/rotate`
#[utoipa::path(
    post, path = "/v1/keys/rotate", operation_id = "rotate_key", tag = "Keys",
    summary = "Make the next version of a key, pending, or get the pending one",
    request_body = schema::RotateBody,
    responses((status = 201, description = "Made", body = CreatedBody), (status = 200, description = "There already", body = CreatedBody), (status = 404), (status = 409)),
    security(("token" = ["keys:rotate"])),
)]
pub(crate) async fn rotate(call: Call, request: Request) -> Result<Response, Failure> {
    let wish = call
        .parse_change(RotateKey::NAME, request, |members| {
            let eoa = members.required("eoa", values::eoa)?;
            let name = members.optional("name", values::name)?.unwrap_or_default();
            let version = members.optional("version", values::version_number)?;
            let binding = values::binding(members, eoa)?;
            Ok(RotateKey { eoa, name, version, binding, reason: members.optional("reason", values::reason)? })
        })
        .await?;
    let created = call.service().rotate_key(call.context().clone(), wish, call.deadline()).await?;
    made(&call, created, Scope::KeysRotate).await
}

/// The version and, where its place is known, the proof for it: the caller's right to make it covers that.
async fn made(call: &Call, created: Created, right: Scope) -> Result<Response, Failure> {
    let version = &created.version;
    // The version is made whatever becomes of its proof, which can be had again with /v1/sign/registration.
    let (registration, warning) = if version.binding.is_some() && version.status.may_sign().is_ok() {
        let context = call.context().clone();
        match call.service().prove(context, version, right, call.deadline()).await {
            Ok(signed) => (Some(SignResult::new(&signed, call.context().request())), None),
            Err(failure) => (None, Some(format!("without a registration proof: {failure}"))),
        }
    } else {
        (None, None)
    };
    let status = if created.created { StatusCode::CREATED } else { StatusCode::OK };
    let record = KeyRecord::from(&*created.version);
    let policy = policy_of(call, &created.version);
    Ok(json(status, &CreatedBody { record, policy, created: created.created, registration, warning }))
}

/// `GET /v1/keys/{eoa}`
#[utoipa::path(
    get, path = "/v1/keys/{eoa}", operation_id = "list_keys", tag = "Keys",
    summary = "Every key of an EOA, newest version first",
    params(("eoa" = schema::AddressText, Path)),
    responses((status = 200, description = "Its keys", body = ListBody)),
    security(("token" = ["keys:read"])),
)]
pub(crate) async fn list(call: Call, path: Result<Path<String>, PathRejection>) -> Result<Response, Failure> {
    let wish = path.map_err(bad_path).and_then(|Path(eoa)| {
        Ok(ListKeys { eoa: values::address(&eoa).map_err(|failure| failure.at("eoa"))? })
    });
    let wish = call.checked(ListKeys::NAME, wish)?;
    let eoa = wish.eoa.to_string();
    let versions = call.service().list_keys(call.context().clone(), wish)?;
    let keys = versions.iter().map(|version| KeyRecord::from(&**version)).collect();
    Ok(json(StatusCode::OK, &ListBody { eoa, keys }))
}

/// `GET /local/keys`: every EOA's, for the machine's own operator.
pub(crate) async fn list_all(call: Call) -> Result<Response, Failure> {
    let versions = call.service().list_all_keys(call.context())?;
    let keys: Vec<_> = versions.iter().map(|version| KeyRecord::from(&**version)).collect();
    Ok(json(StatusCode::OK, &serde_json::json!({ "keys": keys })))
}

/// `GET /v1/keys/{eoa}/{name}`
#[utoipa::path(
    get, path = "/v1/keys/{eoa}/{name}", operation_id = "show_key", tag = "Keys",
    summary = "The current version of a key, and all its versions",
    params(("eoa" = schema::AddressText, Path), ("name" = schema::NameText, Path)),
    responses((status = 200, description = "The key", body = ShowBody), (status = 404)),
    security(("token" = ["keys:read"])),
)]
pub(crate) async fn show(
    call: Call,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Failure> {
    let wish = path.map_err(bad_path).and_then(|Path((eoa, name))| {
        let eoa = values::address(&eoa).map_err(|failure| failure.at("eoa"))?;
        let name = values::name(name.into()).map_err(|failure| failure.at("name"))?;
        Ok(ShowKey { eoa, name })
    });
    let wish = call.checked(ShowKey::NAME, wish)?;
    let versions = call.service().show_key(call.context().clone(), wish)?;
    let active = versions.iter().find(|version| version.status.lifecycle == LifecycleState::Active);
    let current =
        active.or_else(|| versions.first()).ok_or_else(|| Failure::internal("a key without versions"))?;
    let record = KeyRecord::from(&**current);
    let versions = versions.iter().map(|version| KeyRecord::from(&**version)).collect();
    Ok(json(StatusCode::OK, &ShowBody { record, policy: policy_of(&call, current), versions }))
}

fn policy_of(call: &Call, version: &KeyVersion) -> PolicyBody {
    PolicyBody::from(&*call.service().policy(&version.eoa, &version.name))
}

fn bad_path(rejection: PathRejection) -> Failure {
    invalid("the path is not valid UTF-8 after percent-decoding").because(rejection)
}
