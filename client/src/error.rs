//! Errors of a call.

use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;

/// Error response of the service: the call was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}{message} ({code}, {request_id})", .field.as_ref().map(|field| format!("{field}: ")).unwrap_or_default())]
pub struct ApiError {
    /// The HTTP status.
    pub status: u16,
    /// Stable error code, such as `key_disabled`.
    pub code: String,
    /// Explanation for a person.
    pub message: String,
    /// The member of the request that is wrong, if one is.
    pub field: Option<String>,
    /// Time after which a retry may succeed, if it may.
    pub retry_after: Option<Duration>,
    /// Request id in the logs of the service.
    pub request_id: String,
}

/// Reason why a call failed.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The address is malformed, or would send the access token in the clear.
    #[error("invalid service address {0:?}: expected https://host[:port], or http:// on a loopback address")]
    Address(String),
    /// The access token contains a character that is not allowed in a header.
    #[error("the access token is malformed")]
    Token,
    /// The HTTP client cannot be created.
    #[error("cannot create the HTTP client")]
    Setup(#[source] reqwest::Error),
    /// The service refused the call.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// No complete response arrived.
    #[error("cannot reach the service")]
    Unreachable(#[source] reqwest::Error),
    /// The response does not have the form of this API.
    #[error("malformed response (HTTP status {status}); this may not be an avs-kms service")]
    Malformed {
        /// The HTTP status.
        status: u16,
        /// The JSON error, if there is one.
        #[source]
        cause: Option<serde_json::Error>,
    },
}

impl ClientError {
    /// The error response of the service, if there is one.
    pub const fn api_error(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            Self::Address(_)
            | Self::Token
            | Self::Setup(_)
            | Self::Unreachable(_)
            | Self::Malformed { .. } => None,
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct ErrorBody {
    error: String,
    code: String,
    request_id: String,
    field: Option<String>,
    retry_after_ms: Option<u64>,
}

impl ErrorBody {
    pub(crate) fn with_status(self, status: u16) -> ApiError {
        ApiError {
            status,
            code: self.code,
            message: self.error,
            field: self.field,
            retry_after: self.retry_after_ms.map(Duration::from_millis),
            request_id: self.request_id,
        }
    }
}
