//! From the body of a request to its members, one by one; what is left over is refused by name.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value};
use std::time::Duration;

use crate::http::extract::strict_json::{self, shown};
use crate::service::{Code, Failure};

/// The members of a JSON object.
#[derive(Debug)]
pub(crate) struct Members {
    /// What stands before the names of these members in a sentence: `hash.` for the members of `hash`.
    path: &'static str,
    left: Map<String, Value>,
}

impl Members {
    /// Reads the body: JSON object, declared as such, not too large, not too slow.
    pub(crate) async fn read(request: Request, timeout: Duration) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            let sentence = "the body must be JSON: send the header Content-Type: application/json";
            return Err(Failure::new(Code::UnsupportedMediaType, sentence));
        }
        let bytes = bytes(&parts.headers, body, timeout).await?;
        let value = strict_json::parse(&bytes).map_err(|error| {
            // The position is useful, the text around it is the caller's own.
            invalid(format!("the body is not valid JSON: {error}"))
        })?;
        Self::of("", value).ok_or_else(|| invalid("the body must be a JSON object"))
    }

    /// The members of a value that is an object.
    pub(crate) fn of(path: &'static str, value: Value) -> Option<Self> {
        match value {
            Value::Object(left) => Some(Self { path, left }),
            Value::Array(_) | Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => None,
        }
    }

    /// Takes a member out; `null` is absence.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.left.remove(name).filter(|value| !value.is_null())
    }

    /// A member that must be there.
    pub(crate) fn required<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(Value) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        match self.take(name) {
            Some(value) => parse(value).map_err(|failure| self.blame(name, failure)),
            None => Err(self.blame(name, invalid(format!("the member `{}{name}` is missing", self.path)))),
        }
    }

    /// A member that may be there.
    pub(crate) fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(Value) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        let value = self.take(name);
        value.map(parse).transpose().map_err(|failure| self.blame(name, failure))
    }

    /// Refuses what nobody took.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self.left.keys().next() {
            None => Ok(()),
            Some(name) => {
                let name = format!("{}{}", self.path, shown(name));
                Err(invalid(format!("there is no member `{name}` in this call")).at(name))
            }
        }
    }

    /// Names the member, unless something inside it was named already.
    fn blame(&self, name: &'static str, failure: Failure) -> Failure {
        if failure.field().is_some() { failure } else { failure.at(format!("{}{name}", self.path)) }
    }
}

pub(crate) fn invalid(sentence: impl Into<std::borrow::Cow<'static, str>>) -> Failure {
    Failure::new(Code::InvalidRequest, sentence)
}

fn too_large() -> Failure {
    Failure::new(Code::BodyTooLarge, "the body is larger than 64 KiB")
}

/// The bytes of a body: not too many, not too late.
pub(crate) async fn bytes(headers: &HeaderMap, body: Body, timeout: Duration) -> Result<Vec<u8>, Failure> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let declared: Option<u64> = declared.and_then(|text| text.parse().ok());
    if declared.is_some_and(|length| length > crate::http::app::MAX_BODY_BYTES as u64) {
        return Err(too_large());
    }
    tokio::time::timeout(timeout, collect(body))
        .await
        .map_err(|_| invalid("the body did not arrive in time"))?
}

async fn collect(body: Body) -> Result<Vec<u8>, Failure> {
    match Limited::new(body, crate::http::app::MAX_BODY_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes().into()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => Err(invalid("the body did not arrive whole").because(error)),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.and_then(|text| text.split(';').next()).map(str::trim);
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
}
