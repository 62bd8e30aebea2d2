//! `/v1/keys…`: create, list, show.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::answer::{KeyRecord, json};
use super::body::invalid;
use super::call::Call;
use super::form;
use super::policy::{self, PolicyBody};
use crate::key::KeyState;
use crate::operation::{CreateKey, Failure, ListKeys, ShowKey};
use crate::store::KeyVersion;

#[derive(Serialize)]
struct CreatedBody {
    #[serde(flatten)]
    record: KeyRecord,
    policy: PolicyBody,
    created: bool,
}

#[derive(Serialize)]
struct ListBody {
    eoa: String,
    keys: Vec<KeyRecord>,
}

#[derive(Serialize)]
struct ShowBody {
    #[serde(flatten)]
    record: KeyRecord,
    policy: PolicyBody,
    versions: Vec<KeyRecord>,
}

/// `POST /v1/keys`
pub(super) async fn create(call: Call, request: Request) -> Result<Response, Failure> {
    let wish = call
        .parse(CreateKey::NAME, request, |members| {
            members.optional("curve", form::curve)?;
            Ok(CreateKey {
                eoa: members.required("eoa", form::eoa)?,
                name: members.optional("name", form::name)?.unwrap_or_default(),
                policy: members.optional("policy", policy::policy)?,
            })
        })
        .await?;
    let created = call.service().create_key(call.context().clone(), wish, call.deadline()).await?;
    let status = if created.created { StatusCode::CREATED } else { StatusCode::OK };
    let record = KeyRecord::from(&*created.version);
    let policy = policy_of(&call, &created.version);
    Ok(json(status, &CreatedBody { record, policy, created: created.created }))
}

/// `GET /v1/keys/{eoa}`
pub(super) async fn list(call: Call, path: Result<Path<String>, PathRejection>) -> Result<Response, Failure> {
    let wish = path.map_err(bad_path).and_then(|Path(eoa)| {
        Ok(ListKeys { eoa: form::address(&eoa).map_err(|failure| failure.at("eoa"))? })
    });
    let wish = call.checked(ListKeys::NAME, wish)?;
    let eoa = wish.eoa.to_string();
    let versions = call.service().list_keys(call.context().clone(), wish)?;
    let keys = versions.iter().map(|version| KeyRecord::from(&**version)).collect();
    Ok(json(StatusCode::OK, &ListBody { eoa, keys }))
}

/// `GET /local/keys`: every EOA's, for the machine's own operator.
pub(super) async fn list_all(call: Call) -> Result<Response, Failure> {
    let versions = call.service().list_all_keys(call.context())?;
    let keys: Vec<_> = versions.iter().map(|version| KeyRecord::from(&**version)).collect();
    Ok(json(StatusCode::OK, &serde_json::json!({ "keys": keys })))
}

/// `GET /v1/keys/{eoa}/{name}`
pub(super) async fn show(
    call: Call,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Failure> {
    let wish = path.map_err(bad_path).and_then(|Path((eoa, name))| {
        let eoa = form::address(&eoa).map_err(|failure| failure.at("eoa"))?;
        let name = form::name(name.into()).map_err(|failure| failure.at("name"))?;
        Ok(ShowKey { eoa, name })
    });
    let wish = call.checked(ShowKey::NAME, wish)?;
    let versions = call.service().show_key(call.context().clone(), wish)?;
    let active = versions.iter().find(|version| version.state == KeyState::Active);
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
