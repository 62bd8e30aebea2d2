//! How a call ends without its answer.

use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;

/// The service's own words about a call that it did not carry out.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{sentence} ({code}, {request_id})")]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The code, such as `key_disabled`.
    pub code: String,
    /// One sentence for a person.
    pub sentence: String,
    /// The member of the request that is at fault, where one is.
    pub field: Option<String>,
    /// After which time a repetition may help, where it may.
    pub retry_after: Option<Duration>,
    /// The request's id in the service's log.
    pub request_id: String,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The address is not one of a service, or would carry the token in the clear.
    #[error("{0:?} is no address of a service: https://host[:port], or http:// on this machine")]
    Address(String),
    /// The token holds a character that no header may hold.
    #[error("the token is not one that the service issued")]
    Token,
    /// The client could not be made.
    #[error("the HTTP client cannot be made")]
    Setup(#[source] reqwest::Error),
    /// The service answered, with a refusal.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nobody answered, or not wholly.
    #[error("the service could not be asked")]
    Unreachable(#[source] reqwest::Error),
    /// The answer is not what this interface answers.
    #[error("the answer (HTTP status {status}) is not one of avs-kms")]
    Malformed {
        /// The HTTP status.
        status: u16,
        /// What is wrong with it, where that can be said.
        #[source]
        cause: Option<serde_json::Error>,
    },
}

impl ClientError {
    /// The service's refusal, if it is one.
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Address(_)
            | Self::Token
            | Self::Setup(_)
            | Self::Unreachable(_)
            | Self::Malformed { .. } => None,
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct RefusalBody {
    error: String,
    code: String,
    request_id: String,
    field: Option<String>,
    retry_after_ms: Option<u64>,
}

impl RefusalBody {
    pub(crate) fn with_status(self, status: u16) -> Refusal {
        Refusal {
            status,
            code: self.code,
            sentence: self.error,
            field: self.field,
            retry_after: self.retry_after_ms.map(Duration::from_millis),
            request_id: self.request_id,
        }
    }
}
