//! Errors of operations: a code for programs, a message for the caller, and the cause for the log.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use hsm::EnclaveError;

use crate::auth::{Denied, Forbidden, Unauthenticated};
use crate::key::{SigningRefusal, TransitionError};
use crate::service::error_code::ErrorCode;
use crate::store::VersionNotFound;
use audit_log::AuditError;

/// Why an operation did not succeed. The message is for the caller, the cause for the log alone.
#[derive(Debug)]
pub struct ServiceError {
    code: ErrorCode,
    message: Cow<'static, str>,
    field: Option<Cow<'static, str>>,
    retry_after: Option<Duration>,
    cause: Option<Box<dyn Error + Send + Sync>>,
    recorded: bool,
}

impl ServiceError {
    /// An error with a message for the caller.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), field: None, retry_after: None, cause: None, recorded: false }
    }

    /// A defect: the caller gets the request id and no cause.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let message = "internal error; the service's log has the cause under this request id";
        Self::new(ErrorCode::Internal, message).source(cause)
    }

    /// Names the member of the request that is wrong.
    pub fn field(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Says after which time a repetition may succeed.
    pub const fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Adds the cause.
    pub fn source(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The code.
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// The message for the caller.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The member of the request that is wrong, if one is.
    pub fn field_name(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// After which time a repetition may succeed, if it may.
    pub const fn retry(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The cause with all that caused it, for the log.
    pub fn cause(&self) -> Option<String> {
        let mut next: Option<&(dyn Error + 'static)> = self.cause.as_deref().map(|cause| cause as _);
        let mut chain = Vec::new();
        while let Some(error) = next {
            chain.push(error.to_string());
            next = error.source();
        }
        (!chain.is_empty()).then(|| chain.join(": "))
    }

    /// The cause if there is one, else the message: for the administrator of this host, who may read both.
    pub fn cause_or_message(&self) -> String {
        self.cause().unwrap_or_else(|| self.to_string())
    }

    /// An error without an audit record: many of them would be many records, and no key was involved.
    pub const fn unrecorded(self) -> Self {
        self.recorded()
    }

    pub(in crate::service) const fn is_recorded(&self) -> bool {
        self.recorded
    }

    pub(in crate::service) const fn recorded(mut self) -> Self {
        self.recorded = true;
        self
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code.as_str())
    }
}

impl From<Unauthenticated> for ServiceError {
    fn from(error: Unauthenticated) -> Self {
        let code = match error {
            Unauthenticated::Expired => ErrorCode::TokenExpired,
            Unauthenticated::Signature => ErrorCode::SignatureMismatch,
            Unauthenticated::Malformed
            | Unauthenticated::Missing
            | Unauthenticated::Replayed
            | Unauthenticated::SignedForm(_)
            | Unauthenticated::SignedTimes
            | Unauthenticated::Unknown
            | Unauthenticated::WrongNetwork => ErrorCode::Unauthenticated,
        };
        Self::new(code, error.to_string())
    }
}

impl From<Forbidden> for ServiceError {
    fn from(error: Forbidden) -> Self {
        Self::new(ErrorCode::Forbidden, error.to_string())
    }
}

impl From<Denied> for ServiceError {
    fn from(error: Denied) -> Self {
        match error {
            Denied::Forbidden(error) => error.into(),
            Denied::State(error) => error.into(),
        }
    }
}

impl From<VersionNotFound> for ServiceError {
    fn from(error: VersionNotFound) -> Self {
        let code = match error {
            VersionNotFound::Key => ErrorCode::KeyNotFound,
            VersionNotFound::Version => ErrorCode::VersionNotFound,
        };
        Self::new(code, error.to_string())
    }
}

impl From<SigningRefusal> for ServiceError {
    fn from(error: SigningRefusal) -> Self {
        let code = match error {
            SigningRefusal::Destroyed => ErrorCode::KeyDestroyed,
            SigningRefusal::Disabled => ErrorCode::KeyDisabled,
            SigningRefusal::Retired => ErrorCode::KeyRetired,
        };
        Self::new(code, error.to_string())
    }
}

impl From<TransitionError> for ServiceError {
    fn from(refusal: TransitionError) -> Self {
        let code = match refusal {
            TransitionError::Destroyed => ErrorCode::KeyDestroyed,
            TransitionError::Disabled => ErrorCode::KeyDisabled,
            TransitionError::Retired => ErrorCode::KeyRetired,
            TransitionError::Unknown => return VersionNotFound::Version.into(),
            TransitionError::Current
            | TransitionError::Pending
            | TransitionError::Scheduled
            | TransitionError::Unscheduled => ErrorCode::InvalidKeyState,
        };
        Self::new(code, refusal.to_string())
    }
}

impl From<AuditError> for ServiceError {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Closed => Self::shutting_down(),
            AuditError::Full => Self::new(
                ErrorCode::Overloaded,
                "too many requests wait for the audit log; nothing was signed",
            )
            .retry_after(Duration::from_millis(100)),
            AuditError::TooLarge => Self::internal(error),
            AuditError::Unavailable { .. } => {
                let message = "the audit log cannot be written; nothing was signed; repeat the call to see whether a change was made";
                Self::new(ErrorCode::AuditUnavailable, message)
                    .retry_after(Duration::from_secs(1))
                    .source(error)
            }
        }
    }
}

impl From<EnclaveError> for ServiceError {
    fn from(error: EnclaveError) -> Self {
        let soon = Duration::from_millis(100);
        match &error {
            EnclaveError::Overloaded => {
                Self::new(ErrorCode::Overloaded, "too many requests wait for the HSM; nothing was signed")
                    .retry_after(soon)
            }
            EnclaveError::DeadlineExceeded => Self::too_late(),
            EnclaveError::TokenUnavailable { retry_after, .. } => {
                let message = "the HSM is unavailable; nothing was signed";
                Self::new(ErrorCode::HsmUnavailable, message).retry_after(*retry_after).source(error)
            }
            EnclaveError::ShuttingDown => Self::shutting_down(),
            EnclaveError::KeyUnreadable => {
                let message = "the HSM does not open the record of this key; nothing was signed; other keys \
                               sign; the operator finds the cause in the service's log";
                Self::new(ErrorCode::KeyUnreadable, message).source(error)
            }
            EnclaveError::TokenFull { .. } => {
                let message = "the HSM has no space for another key; nothing was created; the operator must \
                               destroy keys or make space in the HSM";
                Self::new(ErrorCode::HsmFull, message).source(error)
            }
            EnclaveError::FaultDetected
            | EnclaveError::Internal(_)
            | EnclaveError::Records(_)
            | EnclaveError::KeyExists
            | EnclaveError::UnknownKey => Self::internal(error),
        }
    }
}

impl ServiceError {
    /// The deadline of the request passed.
    pub fn too_late() -> Self {
        Self::new(ErrorCode::DeadlineExceeded, "the request took too long; no signature left the service")
            .retry_after(Duration::from_millis(100))
    }

    /// The service is about to end.
    pub fn shutting_down() -> Self {
        Self::new(ErrorCode::ShuttingDown, "the service is shutting down").retry_after(Duration::from_secs(5))
    }
}
