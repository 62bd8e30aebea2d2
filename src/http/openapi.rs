//! The OpenAPI document, made of the endpoints.
//!
//! An endpoint brings its description, its body's and responses' types bring their schemas, and its operation says
//! who may call it. What is the same for all calls is filled in here. `openapi/examples.json` has an example of each
//! body under the operation's name, and a message for each error code; the tests name what is missing.

pub(crate) mod description;

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use utoipa::openapi::path::{HttpMethod, PathItem};
use utoipa::openapi::tag::Tag as OpenApiTag;
use utoipa::openapi::{Components, InfoBuilder, LicenseBuilder, OpenApiBuilder, PathsBuilder};
use utoipa::{PartialSchema, ToSchema};

use crate::http::endpoint::{Endpoint, needs_caller};
use crate::http::error::{ErrorBody, status};
use crate::service::ErrorCode;
use crate::service::operation::{Access, OperationInfo};

use description::Tag;

/// Examples of bodies and error messages, which no type holds.
const EXAMPLES: &str = include_str!("openapi/examples.json");

/// The document of these endpoints; those without a description are left out.
pub(crate) fn document(endpoints: impl Iterator<Item = Endpoint>) -> Value {
    // A text of our own, which the tests read.
    let examples: Value = serde_json::from_str(EXAMPLES).unwrap_or_default();
    let mut paths = PathsBuilder::new();
    let mut components = Components::new();
    components.schemas.insert(ErrorBody::name().into_owned(), ErrorBody::schema());
    let mut calls = Vec::new();
    for endpoint in endpoints {
        let Endpoint { operation, method, path, description: Some(description), .. } = endpoint else {
            continue;
        };
        components.schemas.extend(description.schemas);
        let method = if method == axum::http::Method::GET { HttpMethod::Get } else { HttpMethod::Post };
        let id = operation.name.replace('.', "_");
        let described = description.operation.operation_id(Some(id));
        paths = paths.path(path, PathItem::new(method.clone(), described));
        calls.push((path, method, operation, description.refusals));
    }
    let about = "BN254 BLS keys of EigenLayer operators, wrapped by a PKCS#11 token. Bodies are JSON objects. \
                 A response without a member `error` is a success.";
    let license = LicenseBuilder::new().name(env!("CARGO_PKG_LICENSE")).build();
    let info =
        InfoBuilder::new().title("avs-kms").version(env!("CARGO_PKG_VERSION")).description(Some(about));
    let document = OpenApiBuilder::new()
        .info(info.license(Some(license)))
        .paths(paths)
        .components(Some(components))
        .tags(Some(Tag::ALL.map(|tag| OpenApiTag::new(tag.as_str()))))
        .build();
    let mut document = serde_json::to_value(document).unwrap_or_default();
    if let Some(components) = document.pointer_mut("/components").and_then(Value::as_object_mut) {
        components.insert("securitySchemes".to_owned(), security_schemes());
    }
    if let Some(code) = document.pointer_mut("/components/schemas/Error/properties/code") {
        let codes: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        *code = json!({"type": "string", "enum": codes});
    }
    for (path, method, operation, refusals) in calls {
        let method = if method == HttpMethod::Get { "get" } else { "post" };
        let call =
            document.get_mut("paths").and_then(|paths| paths.get_mut(path)).and_then(|it| it.get_mut(method));
        if let Some(call) = call.and_then(Value::as_object_mut) {
            finish(call, operation, refusals, &examples);
        }
    }
    document
}

fn security_schemes() -> Value {
    json!({
        "access_token": {
            "type": "http", "scheme": "bearer", "bearerFormat": "kms_…",
            "description": "Issued by `avs-kms access-token issue`, or by POST /v1/auth/challenge and /v1/auth/verify",
        },
        "signature": {
            "type": "http", "scheme": "EIP712",
            "description": "EIP712 operator=0x…,issued=…,expires=…,nonce=0x…,sig=0x… over this very request; \
                            GET /v1/auth/typed-data returns what to sign",
        },
    })
}

/// Who may call: a signed request may do everything with the signer's own keys; an access token is revoked by itself.
fn security(operation: &OperationInfo) -> Value {
    match operation.access {
        Access::Caller => json!([{"access_token": []}]),
        Access::Own(_) | Access::Scope(_) if operation.irrevocable => json!([{"signature": []}]),
        Access::Own(scope) | Access::Scope(scope) => {
            json!([{"access_token": [scope.as_str()]}, {"signature": []}])
        }
        Access::Internal | Access::Local | Access::Open => Value::Null,
    }
}

fn finish(
    call: &mut Map<String, Value>,
    operation: &OperationInfo,
    own_refusals: BTreeSet<u16>,
    examples: &Value,
) {
    let example = |of: &str| examples.pointer(&format!("/calls/{}/{of}", operation.name)).cloned();
    let mut refusals = own_refusals;
    refusals.extend([429, 500, 503, 504]);
    if needs_caller(operation) {
        refusals.extend([401, 403]);
        call.insert("security".to_owned(), security(operation));
    }
    if call.contains_key("parameters") {
        refusals.insert(400);
    }
    if let Some(body) = call.get_mut("requestBody") {
        refusals.extend([400, 413, 415]);
        if let (Some(content), Some(example)) = (json_content(body), example("request")) {
            content.insert("example".to_owned(), example);
        }
    }
    let Some(responses) = call.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for response in responses.values_mut() {
        if let (Some(content), Some(example)) = (json_content(response), example("response")) {
            content.insert("example".to_owned(), example);
        }
    }
    responses.extend(refusals.into_iter().map(|status| (status.to_string(), refusal(status, examples))));
    for response in responses.values_mut().filter_map(Value::as_object_mut) {
        let schema = json!({"type": "string", "pattern": "^req_[0-9a-f]{32}$"});
        let id = json!({"schema": schema, "required": true});
        response.insert("headers".to_owned(), json!({"x-request-id": id}));
    }
}

fn json_content(value: &mut Value) -> Option<&mut Map<String, Value>> {
    value.pointer_mut("/content/application~1json").and_then(Value::as_object_mut)
}

/// All codes of a status, each with an example.
fn refusal(of: u16, examples: &Value) -> Value {
    let codes = ErrorCode::ALL.iter().filter(|code| status(**code).as_u16() == of).map(|code| code.as_str());
    let retry = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT];
    let mut shown = Map::new();
    for code in codes.clone() {
        let mut value = json!({"error": examples.pointer(&format!("/codes/{code}")), "code": code,
                               "request_id": "req_3f2a9c0d4b5e6f708192a3b4c5d6e7f8"});
        if retry.iter().any(|status| status.as_u16() == of) {
            value.as_object_mut().map(|members| members.insert("retry_after_ms".to_owned(), json!(100)));
        }
        shown.insert(code.to_owned(), json!({"value": value}));
    }
    let codes: Vec<_> = codes.map(|code| format!("`{code}`")).collect();
    let schema = json!({"$ref": "#/components/schemas/Error"});
    json!({"description": codes.join(", "), "content": {"application/json": {"schema": schema, "examples": shown}}})
}

#[cfg(test)]
mod tests;
