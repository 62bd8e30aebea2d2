//! Reader of a request's body: JSON, declared as such, within the size and the time, without duplicate members.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::strict_json;
use crate::http::app::{App, MAX_BODY_BYTES};
use crate::http::dto::invalid_value::{from_value, invalid};
use crate::http::limits::large_bodies::{LargeBodies, SMALL_BYTES};
use crate::service::{ErrorCode, ServiceError};

/// Reads the body of a request as one of its types.
pub(crate) async fn read<T: DeserializeOwned>(request: Request, app: &App) -> Result<T, ServiceError> {
    let (parts, body) = request.into_parts();
    if !is_json(&parts.headers) {
        let message = "the body must be JSON: send the header Content-Type: application/json";
        return Err(ServiceError::new(ErrorCode::UnsupportedMediaType, message));
    }
    parse(&receive(&parts.headers, body, app).await?.bytes)
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

/// The bytes of a body, and its place among the large ones while they are held.
#[derive(Debug)]
pub(crate) struct ReceivedBody {
    pub(crate) bytes: Vec<u8>,
    large: Option<OwnedSemaphorePermit>,
}

/// Waits for the whole body, within its size and its time.
pub(crate) async fn receive(
    headers: &HeaderMap,
    body: Body,
    app: &App,
) -> Result<ReceivedBody, ServiceError> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let declared: Option<u64> = declared.and_then(|text| text.parse().ok());
    if declared.is_some_and(|length| length > MAX_BODY_BYTES as u64) {
        return Err(too_large());
    }
    timeout(app.body_timeout, collect(body, &app.large_bodies))
        .await
        .map_err(|_| invalid("the body did not arrive in time"))?
}

/// Copies what arrives: a frame of one byte keeps the buffer in which it came.
async fn collect(mut body: Body, large_bodies: &LargeBodies) -> Result<ReceivedBody, ServiceError> {
    let mut received = ReceivedBody { bytes: Vec::new(), large: None };
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| invalid("the body did not arrive completely").source(error))?;
        // Trailers say nothing here.
        let Ok(data) = frame.into_data() else { continue };
        let size = received.bytes.len().saturating_add(data.len());
        if size > MAX_BODY_BYTES {
            return Err(too_large());
        }
        if size > SMALL_BYTES && received.large.is_none() {
            received.large = Some(large_bodies.enter()?);
        }
        received.bytes.extend_from_slice(&data);
    }
    Ok(received)
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

    #[tokio::test]
    async fn large_bodies_share_a_bound_and_small_ones_do_not() {
        let (places, mut held) = (LargeBodies::new(), Vec::new());
        let large = || collect(Body::from(vec![b' '; SMALL_BYTES + 1]), &places);
        let failure = loop {
            match large().await {
                Ok(body) => held.push(body),
                Err(failure) => break failure,
            }
        };
        assert_eq!(failure.code(), ErrorCode::Overloaded);
        let most: usize = held.iter().map(|_| MAX_BODY_BYTES).sum();
        assert!(most <= 16 * 1024 * 1024 && !held.is_empty(), "{}", held.len());
        let small = collect(Body::from(vec![b' '; SMALL_BYTES]), &places).await;
        assert_eq!(small.unwrap().bytes.len(), SMALL_BYTES);
        held.pop();
        assert!(large().await.is_ok(), "its place was not given back");
    }

    #[tokio::test]
    async fn a_body_has_its_size_to_the_byte() {
        let size = async |size| {
            let received = collect(Body::from(vec![b' '; size]), &LargeBodies::new()).await;
            received.map(|body| body.bytes.len()).map_err(|failure| failure.code())
        };
        assert_eq!(size(MAX_BODY_BYTES).await, Ok(MAX_BODY_BYTES));
        assert_eq!(size(MAX_BODY_BYTES + 1).await, Err(ErrorCode::BodyTooLarge));
        assert_eq!(size(0).await, Ok(0));
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
