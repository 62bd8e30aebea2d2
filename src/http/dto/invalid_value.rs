//! Refusals of values in a body: code and message, carried through serde's errors, which are text alone.
//!
//! Every message is this program's own. Of serde's messages only the part that says what was expected is kept: the
//! rest quotes the client's bytes.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::service::{ErrorCode, ServiceError};

/// Begins a message that carries a code. No message of serde begins with it.
const MARK: char = '\u{1f}';

/// Why a value is refused.
#[derive(Debug)]
pub(crate) struct InvalidValue {
    code: ErrorCode,
    message: Cow<'static, str>,
}

impl InvalidValue {
    pub(crate) fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }

    /// A value that is well-formed and makes no sense.
    pub(crate) fn request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InvalidRequest, message)
    }

    fn parse(text: &str) -> Option<Self> {
        let (code, message) = text.strip_prefix(MARK)?.split_once(MARK)?;
        let code = ErrorCode::ALL.iter().find(|known| known.as_str() == code)?;
        Some(Self::new(*code, message.to_owned()))
    }
}

/// The form in which it passes through serde.
impl fmt::Display for InvalidValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MARK}{}{MARK}{}", self.code.as_str(), self.message)
    }
}

impl From<InvalidValue> for ServiceError {
    fn from(error: InvalidValue) -> Self {
        Self::new(error.code, error.message)
    }
}

/// A request that is refused with `invalid_request`.
pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> ServiceError {
    ServiceError::new(ErrorCode::InvalidRequest, message)
}

/// Reads a body's type from its JSON value.
pub(crate) fn from_value<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, ServiceError> {
    serde_path_to_error::deserialize(value).map_err(|error| refusal(error.path(), &error.inner().to_string()))
}

fn refusal(path: &Path, text: &str) -> ServiceError {
    let field = field(path);
    if let Some(error) = InvalidValue::parse(text) {
        return at(error.into(), field);
    }
    if let Some(name) = text.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        let name = if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") };
        return at(invalid(format!("missing member `{name}`")), name);
    }
    if text.starts_with("unknown field ") {
        return at(invalid(format!("unknown member `{field}`")), field);
    }
    let message = match text.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => "the value is not valid here".to_owned(),
    };
    at(invalid(message), field)
}

fn at(error: ServiceError, field: String) -> ServiceError {
    if field.is_empty() { error } else { error.field(field) }
}

/// `binding.chain_id`; an item of a list has the name of its list.
fn field(path: &Path) -> String {
    let mut names = Vec::new();
    for segment in path {
        match segment {
            Segment::Map { key } => names.push(printable(key)),
            Segment::Seq { .. } | Segment::Enum { .. } | Segment::Unknown => break,
        }
    }
    names.join(".")
}

/// A name from outside, cut and cleaned for use in a message.
pub(crate) fn printable(name: &str) -> String {
    name.chars().take(64).map(|c| if c.is_ascii_graphic() && c != '`' { c } else { '?' }).collect()
}
