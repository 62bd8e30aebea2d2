//! `/v1/keys`: create, rotate, list, show.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::http::dto::binding::BindingBody;
use crate::http::dto::cursor::{self, AllKeysCursor, KeyCursor};
use crate::http::dto::invalid_value::{InvalidValue, invalid};
use crate::http::dto::key::KeyRecord;
use crate::http::dto::page::{Page, PageLimit};
use crate::http::dto::policy::{PolicyBody, PolicyRecord};
use crate::http::dto::signature::SignResult;
use crate::http::dto::values::{
    Address, ChecksumAddress, Curve, Name, Reason, StateName, VersionNumber, parse_address, parse_name,
};
use crate::http::endpoint::Endpoint;
use crate::http::extract::authenticated::AuthenticatedRequest;
use crate::http::extract::query::Query;
use crate::http::openapi::description::{Description, Tag};
use crate::http::response::json;
use crate::key::{KeyVersion, KeyVersionNumber, LifecycleState};
use crate::service::operation::{
    KEYS_CREATE, KEYS_LIST, KEYS_LIST_ALL, KEYS_ROTATE, KEYS_SHOW, OperationInfo,
};
use crate::service::{CreateKey, Created, ListAllKeys, ListKeys, RotateKey, ServiceError, ShowKey};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    let keys = |summary| Description::new(Tag::Keys, summary);
    vec![
        Endpoint::post(&KEYS_CREATE, "/v1/keys", create).describe(
            keys("Create the key of an EOA, or return it if it exists")
                .body::<CreateKeyBody>()
                .returns::<CreatedKey>(201, "The key was created.")
                .returns::<CreatedKey>(200, "The key existed.")
                .refuses(&[409]),
        ),
        Endpoint::post(&KEYS_ROTATE, "/v1/keys/rotate", rotate).describe(
            keys("Create the next version of a key, or return the pending one")
                .body::<RotateKeyBody>()
                .returns::<CreatedKey>(201, "The version was created.")
                .returns::<CreatedKey>(200, "A pending version existed.")
                .refuses(&[404, 409]),
        ),
        Endpoint::get(&KEYS_LIST, "/v1/keys/{eoa}", list).describe(
            keys("List the keys of an EOA, by name, newest version first")
                .path::<Address>("eoa")
                .optional_query::<StateName>("state", "Only versions in this state.")
                .optional_query::<KeyCursor>("after", "Where the page before ended: its `next`.")
                .optional_query::<PageLimit>("limit", "The most versions of the page; 100 if absent.")
                .returns::<KeyList>(200, "A page of the keys."),
        ),
        Endpoint::get(&KEYS_SHOW, "/v1/keys/{eoa}/{name}", show).describe(
            keys("Show the current version of a key, and its versions, newest first")
                .path::<Address>("eoa")
                .path::<Name>("name")
                .optional_query::<VersionNumber>("after", "Where the page before ended: its `next`.")
                .optional_query::<PageLimit>("limit", "The most versions of the page; 100 if absent.")
                .returns::<KeyWithVersions>(200, "The key.")
                .refuses(&[404]),
        ),
        Endpoint::get(&KEYS_LIST_ALL, "/local/keys", list_all),
    ]
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub(crate) struct CreateKeyBody {
    eoa: Address,
    name: Option<Name>,
    curve: Option<Curve>,
    /// Of a new key.
    policy: Option<PolicyBody>,
    /// Of a new key.
    binding: Option<BindingBody>,
}

impl TryFrom<CreateKeyBody> for CreateKey {
    type Error = ServiceError;

    fn try_from(body: CreateKeyBody) -> Result<Self, ServiceError> {
        let CreateKeyBody { eoa: Address(eoa), name, curve: None | Some(Curve::Bn254), policy, binding } =
            body;
        let binding = binding.map(|binding| binding.into_binding(eoa, "binding.")).transpose()?;
        Ok(Self { eoa, name: name_or_default(name), policy: policy.map(Into::into), binding })
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub(crate) struct RotateKeyBody {
    eoa: Address,
    name: Option<Name>,
    /// The number that the next version is to have.
    version: Option<VersionNumber>,
    /// The binding of the current version if absent.
    binding: Option<BindingBody>,
    reason: Option<Reason>,
}

impl TryFrom<RotateKeyBody> for RotateKey {
    type Error = ServiceError;

    fn try_from(body: RotateKeyBody) -> Result<Self, ServiceError> {
        let RotateKeyBody { eoa: Address(eoa), name, version, binding, reason } = body;
        Ok(Self {
            eoa,
            name: name_or_default(name),
            version: version.and_then(|VersionNumber(number)| KeyVersionNumber::new(number)),
            binding: binding.map(|binding| binding.into_binding(eoa, "binding.")).transpose()?,
            reason: reason.map(|Reason(reason)| reason),
        })
    }
}

#[derive(Serialize, ToSchema)]
struct CreatedKey {
    #[serde(flatten)]
    record: KeyRecord,
    policy: PolicyRecord,
    created: bool,
    /// The registration proof, if the key has a binding.
    #[serde(skip_serializing_if = "Option::is_none")]
    registration: Option<SignResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct KeyList {
    eoa: ChecksumAddress,
    #[schema(value_type = Vec<KeyRecord>)]
    keys: Vec<Box<RawValue>>,
    /// The `after` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct AllKeys {
    keys: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct KeyWithVersions {
    #[serde(flatten)]
    record: KeyRecord,
    policy: PolicyRecord,
    #[schema(value_type = Vec<KeyRecord>)]
    versions: Vec<Box<RawValue>>,
    /// The `after` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u32>,
}

/// The name of a key; `default` where a request says none.
pub(crate) fn name_or_default(name: Option<Name>) -> crate::key::KeyName {
    name.map(|Name(name)| name).unwrap_or_default()
}

async fn create(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    let key = call.parse(request, |body: CreateKeyBody| CreateKey::try_from(body)).await?;
    let created = call.services().keys.create(call.context().clone(), key, call.deadline()).await?;
    created_response(&call, created, &KEYS_CREATE).await
}

async fn rotate(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    let rotation = call.parse(request, |body: RotateKeyBody| RotateKey::try_from(body)).await?;
    let created = call.services().keys.rotate(call.context().clone(), rotation, call.deadline()).await?;
    created_response(&call, created, &KEYS_ROTATE).await
}

/// The version and, if it has a binding, the registration proof: the right to create the version covers it.
async fn created_response(
    call: &AuthenticatedRequest,
    created: Created,
    granted_by: &'static OperationInfo,
) -> Result<Response, ServiceError> {
    let version = &created.version;
    // The version exists whatever becomes of its proof, which /v1/sign/registration gives again.
    let (registration, warning) = if version.binding.is_some() && version.status.may_sign().is_ok() {
        let context = call.context().clone();
        match call.services().signing.prove(context, version, granted_by, call.deadline()).await {
            Ok(signed) => (Some(SignResult::new(&signed, call.context().request())), None),
            Err(failure) => (None, Some(format!("without a registration proof: {failure}"))),
        }
    } else {
        (None, None)
    };
    let status = if created.created { StatusCode::CREATED } else { StatusCode::OK };
    let record = KeyRecord::from(&*created.version);
    let policy = policy_of(call, &created.version);
    Ok(json(status, &CreatedKey { record, policy, created: created.created, registration, warning }))
}

async fn list(
    call: AuthenticatedRequest,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ServiceError> {
    let read = || {
        let Path(eoa) = path.map_err(bad_path)?;
        let eoa = parse_address(&eoa).map_err(|error| in_path(error, "eoa"))?;
        let mut query = Query::of(&request)?;
        let state = query.text("state")?.map(|StateName(state)| state);
        let after = query.text("after")?.map(|KeyCursor(after)| after);
        let limit = query.limit()?;
        query.finish()?;
        Ok((ListKeys { eoa, state, after, most: limit + 1 }, limit))
    };
    let (list, limit) = call.checked(read())?;
    let eoa = ChecksumAddress(list.eoa);
    let versions = call.services().key_reads.list(call.context().clone(), list)?;
    let page = Page::of(versions, limit, |version| KeyRecord::from(&**version))?;
    let next = page.next(|version| cursor::of_key(version));
    Ok(json(StatusCode::OK, &KeyList { eoa, keys: page.items, next }))
}

/// `GET /local/keys`: the keys of all EOAs, for the administrator of this host.
async fn list_all(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    let read = || {
        let mut query = Query::of(&request)?;
        let state = query.text("state")?.map(|StateName(state)| state);
        let after = query.text("after")?.map(|AllKeysCursor(after)| after);
        let limit = query.limit()?;
        query.finish()?;
        Ok((ListAllKeys { state, after, most: limit + 1 }, limit))
    };
    let (list, limit) = call.checked(read())?;
    let versions = call.services().key_reads.list_all(call.context(), &list)?;
    let page = Page::of(versions, limit, |version| KeyRecord::from(&**version))?;
    let next = page.next(|version| cursor::of_any_key(version));
    Ok(json(StatusCode::OK, &AllKeys { keys: page.items, next }))
}

async fn show(
    call: AuthenticatedRequest,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Result<Response, ServiceError> {
    let read = || {
        let Path((eoa, name)) = path.map_err(bad_path)?;
        let eoa = parse_address(&eoa).map_err(|error| in_path(error, "eoa"))?;
        let name = parse_name(&name).map_err(|error| in_path(error, "name"))?;
        let mut query = Query::of(&request)?;
        let after = query.number("after")?.map(|VersionNumber(number)| number);
        let limit = query.limit()?;
        query.finish()?;
        Ok((ShowKey { eoa, name }, after, limit))
    };
    let (show, after, limit) = call.checked(read())?;
    let versions = call.services().key_reads.show(call.context().clone(), show)?;
    let active = versions.iter().find(|version| version.status.lifecycle == LifecycleState::Active);
    let current = active.or_else(|| versions.first());
    let current = current.ok_or_else(|| ServiceError::internal("a key without versions"))?;
    let (record, policy) = (KeyRecord::from(&**current), policy_of(&call, current));
    let number = |version: &KeyVersion| version.version.number();
    let older = versions.iter().filter(|version| after.is_none_or(|after| number(version) < after));
    let page = Page::of(older, limit, |version| KeyRecord::from(&***version))?;
    let next = page.next(|version| number(version));
    Ok(json(StatusCode::OK, &KeyWithVersions { record, policy, versions: page.items, next }))
}

fn policy_of(call: &AuthenticatedRequest, version: &KeyVersion) -> PolicyRecord {
    PolicyRecord::from(&*call.services().policies.get(&version.eoa, &version.name))
}

fn in_path(error: InvalidValue, parameter: &'static str) -> ServiceError {
    ServiceError::from(error).field(parameter)
}

fn bad_path(rejection: PathRejection) -> ServiceError {
    invalid("the path is not valid UTF-8 after percent-decoding").source(rejection)
}
