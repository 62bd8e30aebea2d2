//! The description of the interface, `GET /openapi.json`, and a page that shows it, `GET /docs`.
//!
//! To describe a call: (1) put `#[utoipa::path(…)]` on its handler, with path, operation id, body, good answers, the
//! scopes of its token (or `signature` where none suffices), and `(status = 404)` or `(status = 409)` where those can come; `shapes` has the forms of
//! values. (2) Name the handler in `paths` below. (3) Give its request and answer in `openapi/examples.json` under
//! the operation id, and a sentence for each new code. The other refusals are filled in here. The tests name what is
//! missing: every route is described, every body has an example, every code a sentence, all as docs/api.md says.

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use crate::http::dto::schema;
use crate::http::error::status;
use crate::service::Code;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "avs-kms",
        description = "BN254 keys of EigenLayer operators in a PKCS#11 token. Bodies are JSON objects; an answer without a member `error` is a success.",
    ),
    paths(
        crate::http::routes::keys::create,
        crate::http::routes::keys::rotate,
        crate::http::routes::lifecycle::activate,
        crate::http::routes::lifecycle::retire,
        crate::http::routes::lifecycle::disable,
        crate::http::routes::lifecycle::enable,
        crate::http::routes::lifecycle::destroy,
        crate::http::routes::lifecycle::restore,
        crate::http::routes::schedule::set,
        crate::http::routes::schedule::show,
        crate::http::routes::schedule::events,
        crate::http::routes::keys::list,
        crate::http::routes::keys::show,
        crate::http::routes::signing::scalar_mul,
        crate::http::routes::signing::digest,
        crate::http::routes::signing::registration,
        crate::http::routes::signing::certificate,
        crate::http::routes::auth::challenge,
        crate::http::routes::auth::verify,
        crate::http::routes::auth::revoke,
        crate::http::routes::auth::typed_data,
        crate::http::routes::audit::records,
        crate::http::routes::audit::checkpoint,
        crate::http::routes::audit::proof,
        crate::http::routes::health::healthz,
        crate::http::routes::health::readyz,
        crate::http::routes::health::version,
        document,
        page,
    ),
    // Parameters do not bring their own forms with them.
    components(schemas(schema::ErrorShape, schema::Method)),
    tags((name = "Authentication"), (name = "Keys"), (name = "Signing"), (name = "Audit"), (name = "Service")),
)]
struct Described;

/// What cannot be had from the types: an example of each body, and when each code is answered.
const EXAMPLES: &str = include_str!("openapi/examples.json");

static DOCUMENT: LazyLock<Value> = LazyLock::new(whole);

/// Written once: it is long, and whoever asks for it has proven nothing.
static TEXT: LazyLock<Bytes> = LazyLock::new(|| DOCUMENT.to_string().into());

/// `GET /openapi.json`
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "openapi", tag = "Service",
    summary = "This description, OpenAPI 3.1",
    responses((status = 200, description = "The document", body = Object)),
)]
pub(crate) async fn document() -> Response {
    crate::http::response::written(StatusCode::OK, TEXT.clone())
}

/// `GET /docs`: HTML that fetches the document from this very service and nothing from anywhere else.
#[utoipa::path(
    get, path = "/docs", operation_id = "docs", tag = "Service",
    summary = "This description, for a browser",
    responses((status = 200, description = "A page", content_type = "text/html", body = String)),
)]
pub(crate) async fn page() -> Response {
    /// The browser enforces what this file promises.
    const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                          connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let mut response = Response::new(include_str!("openapi/page.html").into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The document of the macros with what is the same for all calls filled in.
fn whole() -> Value {
    // Texts of our own: both are read by the tests, and neither depends on anything from outside.
    let mut document = serde_json::to_value(Described::openapi()).unwrap_or_default();
    let examples: Value = serde_json::from_str(EXAMPLES).unwrap_or_default();
    if let Some(schemes) = document.pointer_mut("/components").and_then(Value::as_object_mut) {
        let token = json!({"type": "http", "scheme": "bearer", "bearerFormat": "kms_…",
                           "description": "avs-kms token issue, or POST /v1/auth/challenge and /v1/auth/verify"});
        let signature = json!({"type": "http", "scheme": "EIP712",
                               "description": "EIP712 operator=0x…,issued=…,expires=…,nonce=0x…,sig=0x… over this very request; GET /v1/auth/typed-data says what to sign"});
        schemes.insert("securitySchemes".to_owned(), json!({"token": token, "signature": signature}));
    }
    if let Some(code) = document.pointer_mut("/components/schemas/Error/properties/code") {
        *code =
            json!({"type": "string", "enum": Code::ALL.iter().map(|code| code.slug()).collect::<Vec<_>>()});
    }
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for item in paths.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
        for operation in item.values_mut().filter_map(Value::as_object_mut) {
            finish(operation, &examples);
        }
    }
    document
}

fn finish(operation: &mut Map<String, Value>, examples: &Value) {
    let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default().to_owned();
    let example = |what: &str| examples.pointer(&format!("/calls/{id}/{what}")).cloned();
    let mut refusals = vec![StatusCode::TOO_MANY_REQUESTS, StatusCode::INTERNAL_SERVER_ERROR];
    refusals.extend([StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT]);
    if let Some(ways) = operation.get_mut("security").and_then(Value::as_array_mut) {
        refusals.extend([StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN]);
        // Whoever signs a request has every right over his own keys; only a token is revoked with itself.
        if id != "revoke_token" && ways.iter().any(|way| way.get("token").is_some()) {
            ways.push(json!({"signature": []}));
        }
    }
    if operation.contains_key("parameters") {
        refusals.push(StatusCode::BAD_REQUEST);
    }
    if let Some(body) = operation.get_mut("requestBody") {
        refusals.push(StatusCode::BAD_REQUEST);
        refusals.extend([StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNSUPPORTED_MEDIA_TYPE]);
        if let (Some(content), Some(example)) = (json_content(body), example("request")) {
            content.insert("example".to_owned(), example);
        }
    }
    let Some(answers) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for status in refusals {
        answers.entry(status.as_str()).or_insert(Value::Null);
    }
    for (status, answer) in answers {
        if status.starts_with('2') {
            if let (Some(content), Some(example)) = (json_content(answer), example("answer")) {
                content.insert("example".to_owned(), example);
            }
        } else {
            *answer = refusal(status, examples);
        }
        if let Some(answer) = answer.as_object_mut() {
            let id = json!({"schema": {"$ref": "#/components/schemas/RequestIdText"}, "required": true});
            answer.insert("headers".to_owned(), json!({"x-request-id": id}));
        }
    }
}

fn json_content(value: &mut Value) -> Option<&mut Map<String, Value>> {
    value.pointer_mut("/content/application~1json").and_then(Value::as_object_mut)
}

/// All codes of a status, each with an example.
fn refusal(of: &str, examples: &Value) -> Value {
    let codes = Code::ALL.iter().filter(|code| status(**code).as_str() == of).map(|code| code.slug());
    let mut shown = Map::new();
    for code in codes.clone() {
        let mut value = json!({"error": examples.pointer(&format!("/codes/{code}")), "code": code,
                               "request_id": "req_3f2a9c0d4b5e6f708192a3b4c5d6e7f8"});
        if matches!(of, "429" | "503" | "504") {
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
