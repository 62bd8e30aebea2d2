//! Why one operation of an open enclave gave no result. Not for opening it.

use std::time::Duration;

use crate::key::StoredNameError;
use crate::pkcs11::TokenError;

/// Why one operation gave no result. Nothing secret is ever part of it.
#[derive(Debug, thiserror::Error)]
pub enum EnclaveError {
    /// The queue is full; no work was begun.
    #[error("too many operations are waiting")]
    Overloaded,
    /// The deadline passed; no result left. A creation may still come about: repeat it by id, or destroy it.
    #[error("the deadline passed before the token answered")]
    DeadlineExceeded,
    /// No record of that id.
    #[error("the token holds no key of that id")]
    UnknownKey,
    /// A key of that id has another owner, name or version.
    #[error("a key of that id exists and has another owner, name or version")]
    KeyExists,
    /// The token cannot work now; nothing was signed, and nothing was created.
    #[error("the token is not available")]
    TokenUnavailable {
        /// When a repetition may help.
        retry_after: Duration,
        /// The call that failed, where one did.
        #[source]
        source: Option<TokenError>,
    },
    /// The record of this key does not open: torn, tampered with, not its own, or the token is at fault with it alone.
    /// Other keys are not affected. It is tried again at every check of the canary.
    #[error("the wrapped record of the key cannot be read")]
    KeyUnreadable,
    /// The token has no space for another object; nothing was created.
    #[error("the token is full")]
    TokenFull {
        /// The call that was refused.
        #[source]
        source: TokenError,
    },
    /// The place of the records outside the token failed; nothing was changed there.
    #[error("the wrapped records cannot be read or written")]
    Records(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A product failed its check twice and was withheld.
    #[error("the product failed its check and was withheld")]
    FaultDetected,
    /// The enclave is being closed.
    #[error("the enclave is shutting down")]
    ShuttingDown,
    /// A defect or a failing host; the text names it.
    #[error("internal error: {0}")]
    Internal(String),
}

impl EnclaveError {
    /// The metric label.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Overloaded => "overloaded",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::UnknownKey => "key_not_found",
            Self::KeyExists => "key_exists",
            Self::TokenUnavailable { .. } => "hsm_unavailable",
            Self::KeyUnreadable => "key_unreadable",
            Self::TokenFull { .. } => "hsm_full",
            Self::Records(_) => "records_unavailable",
            Self::FaultDetected => "fault_detected",
            Self::ShuttingDown => "shutting_down",
            Self::Internal(_) => "internal",
        }
    }
}

impl From<StoredNameError> for EnclaveError {
    fn from(error: StoredNameError) -> Self {
        Self::Internal(error.to_string())
    }
}

/// The metric label of a result.
pub(crate) fn result_label<R>(result: &Result<R, EnclaveError>) -> &'static str {
    match result {
        Ok(_) => crate::telemetry::OK,
        Err(error) => error.label(),
    }
}
