//! Reader of a request's body: JSON, declared as such, within the size and the time, without duplicate members.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::strict_json;
use crate::http::app::MAX_BODY_BYTES;
use crate::http::dto::invalid_value::{from_value, invalid};
use crate::service::{ErrorCode, ServiceError};

/// Reads the body of a request as one of its types.
pub(crate) async fn read<T: DeserializeOwned>(
    request: Request,
    timeout: Duration,
) -> Result<T, ServiceError> {
    let (parts, body) = request.into_parts();
    if !is_json(&parts.headers) {
        let message = "the body must be JSON: send the header Content-Type: application/json";
        return Err(ServiceError::new(ErrorCode::UnsupportedMediaType, message));
    }
    parse(&bytes(&parts.headers, body, timeout).await?)
}

/// Parses the bytes of a body.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ServiceError> {
    // The position helps the client; the text around it is the client's own.
    let value =
        strict_json::parse(bytes).map_err(|error| invalid(format!("the body is not valid JSON: {error}")))?;
    match value {
        Value::Object(_) => from_value(value),
        Value::Array(_) | Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {
            Err(invalid("the body must be a JSON object"))
        }
    }
}

/// Reads the bytes of a body, within the size and the time.
pub(crate) async fn bytes(
    headers: &HeaderMap,
    body: Body,
    timeout: Duration,
) -> Result<Vec<u8>, ServiceError> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let declared: Option<u64> = declared.and_then(|text| text.parse().ok());
    if declared.is_some_and(|length| length > MAX_BODY_BYTES as u64) {
        return Err(too_large());
    }
    tokio::time::timeout(timeout, collect(body))
        .await
        .map_err(|_| invalid("the body did not arrive in time"))?
}

async fn collect(body: Body) -> Result<Vec<u8>, ServiceError> {
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes().into()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => Err(invalid("the body did not arrive completely").source(error)),
    }
}

fn too_large() -> ServiceError {
    ServiceError::new(ErrorCode::BodyTooLarge, "the body is larger than 64 KiB")
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|text| text.split(';').next()).map(str::trim);
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use serde::Deserialize;

    use super::*;
    use crate::http::dto::list::List;
    use crate::http::dto::point::Point;
    use crate::http::dto::values::{Address, Hex32, Name, ScopeName, VersionChoice, VersionNumber};

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, expecting = "a JSON object")]
    #[allow(dead_code, reason = "only whether it is read matters")]
    struct Example {
        eoa: Address,
        name: Option<Name>,
        version: Option<VersionChoice>,
        number: Option<VersionNumber>,
        digest: Option<Hex32>,
        hash: Option<Point>,
        scopes: Option<List<ScopeName>>,
        flag: Option<bool>,
        inner: Option<Inner>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, expecting = "a JSON object")]
    #[allow(dead_code, reason = "only whether it is read matters")]
    struct Inner {
        eoa: Address,
    }

    const EOA: &str = r#""eoa":"0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266""#;

    /// ErrorCode, field and message of the refusal of a body.
    fn refused(body: &str) -> (&'static str, String, String) {
        let failure = parse::<Example>(body.as_bytes()).err().unwrap();
        let field = failure.field_name().unwrap_or_default().to_owned();
        (failure.code().as_str(), field, failure.message().to_owned())
    }

    #[test]
    fn a_refusal_names_the_member_and_says_what_was_expected() {
        for (members, code, field, message) in [
            (r#""name":5"#, "invalid_request", "name", "expected a string"),
            (r#""name":"A b""#, "invalid_request", "name", "a key name is"),
            (r#""version":0"#, "invalid_request", "version", "expected a version number from 1,"),
            (
                r#""version":"last, expected nothing""#,
                "invalid_request",
                "version",
                "expected a version number",
            ),
            (
                r#""number":4294967296"#,
                "invalid_request",
                "number",
                "expected a whole number from 1 to 4294967295",
            ),
            (r#""number":-1"#, "invalid_request", "number", "expected a whole number from 1 to 4294967295"),
            (r#""number":1.0"#, "invalid_request", "number", "expected a whole number from 1 to 4294967295"),
            (r#""digest":"0x12""#, "invalid_hex", "digest", "expected 64 hex digits"),
            (r#""digest":"0x""#, "registry_not_found", "digest", "the value is empty"),
            (r#""hash":{"x":"0x01"}"#, "invalid_hex", "hash.x", "expected 64 hex digits"),
            (r#""hash":{}"#, "invalid_request", "hash.x", "missing member `hash.x`"),
            (r#""hash":{"z":1}"#, "invalid_request", "hash.z", "unknown member `hash.z`"),
            (r#""hash":[]"#, "invalid_request", "hash", "expected a point"),
            (r#""scopes":["keys:read","x"]"#, "invalid_request", "scopes", "expected one of"),
            (r#""scopes":"keys:read""#, "invalid_request", "scopes", "expected a list"),
            (r#""flag":"yes""#, "invalid_request", "flag", "expected a boolean"),
            (r#""inner":[]"#, "invalid_request", "inner", "expected a JSON object"),
            (r#""inner":{"eoa":"0x1"}"#, "invalid_address", "inner.eoa", ""),
            (r#""inner":{"eoa":null}"#, "invalid_request", "inner.eoa", "expected a string"),
            (r#""inner":{}"#, "invalid_request", "inner.eoa", "missing member `inner.eoa`"),
            (r#""wrong`\u001b":1"#, "invalid_request", "wrong??", "unknown member `wrong??`"),
        ] {
            let (of, at, text) = refused(&format!("{{{EOA},{members}}}"));
            assert_eq!((of, at.as_str()), (code, field), "{members}: {text}");
            assert!(text.starts_with(message), "{members}: {text}");
        }
        assert_eq!(refused("{}").2, "missing member `eoa`");
        assert_eq!(refused("[]").2, "the body must be a JSON object");
        assert!(refused(&format!("{{{EOA},{EOA}}}")).2.contains("duplicate member `eoa`"));
        assert!(refused(&format!("{{{EOA}}}x")).2.contains("not valid JSON"));
    }

    #[test]
    fn null_is_the_same_as_absence_for_a_member_that_may_be_absent() {
        assert!(parse::<Example>(format!(r#"{{{EOA},"name":null,"hash":null}}"#).as_bytes()).is_ok());
    }

    #[test]
    fn a_message_of_the_client_cannot_pass_for_one_of_ours() {
        let (code, _, text) = refused(&format!("{{{EOA},\"\\u001finternal\\u001fx\":1}}"));
        assert_eq!(code, "invalid_request");
        assert_eq!(text, "unknown member `?internal?x`");
    }
}
