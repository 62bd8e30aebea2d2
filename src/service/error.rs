//! Errors of operations: a code for programs, a message for the caller, and the cause for the log.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use hsm::EnclaveError;

use crate::auth::{Denied, Forbidden, Unauthenticated};
use crate::key::{SigningRefusal, TransitionError};
use crate::store::VersionNotFound;
use audit_log::AuditError;

/// The codes of `docs/reference/error-codes.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "docs/reference/error-codes.md is their documentation")]
pub enum ErrorCode {
    AuditUnavailable,
    BodyTooLarge,
    RegistryMismatch,
    RpcUnavailable,
    ChallengeExpired,
    ChallengeUnknown,
    CoordinateOutOfRange,
    DeadlineExceeded,
    RegistryNotFound,
    Forbidden,
    Internal,
    InvalidAddress,
    InvalidHex,
    InvalidRequest,
    KeyDestroyed,
    KeyDisabled,
    KeyRetired,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    PointAtInfinity,
    PointNotOnCurve,
    RateLimited,
    ShuttingDown,
    SignatureMismatch,
    TokenExpired,
    HsmUnavailable,
    Unauthenticated,
    KeyNotFound,
    VersionNotFound,
    UnsupportedMediaType,
    InvalidKeyState,
}

impl ErrorCode {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::AuditUnavailable,
        Self::BodyTooLarge,
        Self::RegistryMismatch,
        Self::RpcUnavailable,
        Self::ChallengeExpired,
        Self::ChallengeUnknown,
        Self::CoordinateOutOfRange,
        Self::DeadlineExceeded,
        Self::RegistryNotFound,
        Self::Forbidden,
        Self::Internal,
        Self::InvalidAddress,
        Self::InvalidHex,
        Self::InvalidRequest,
        Self::KeyDestroyed,
        Self::KeyDisabled,
        Self::KeyRetired,
        Self::MethodNotAllowed,
        Self::NotFound,
        Self::Overloaded,
        Self::PointAtInfinity,
        Self::PointNotOnCurve,
        Self::RateLimited,
        Self::ShuttingDown,
        Self::SignatureMismatch,
        Self::TokenExpired,
        Self::HsmUnavailable,
        Self::Unauthenticated,
        Self::KeyNotFound,
        Self::VersionNotFound,
        Self::UnsupportedMediaType,
        Self::InvalidKeyState,
    ];

    /// The code in responses and audit records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuditUnavailable => "audit_unavailable",
            Self::BodyTooLarge => "body_too_large",
            Self::RegistryMismatch => "registry_mismatch",
            Self::RpcUnavailable => "rpc_unavailable",
            Self::ChallengeExpired => "challenge_expired",
            Self::ChallengeUnknown => "challenge_unknown",
            Self::CoordinateOutOfRange => "coordinate_out_of_range",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::RegistryNotFound => "registry_not_found",
            Self::Forbidden => "forbidden",
            Self::Internal => "internal",
            Self::InvalidAddress => "invalid_address",
            Self::InvalidHex => "invalid_hex",
            Self::InvalidRequest => "invalid_request",
            Self::KeyDestroyed => "key_destroyed",
            Self::KeyDisabled => "key_disabled",
            Self::KeyRetired => "key_retired",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NotFound => "not_found",
            Self::Overloaded => "overloaded",
            Self::PointAtInfinity => "point_at_infinity",
            Self::PointNotOnCurve => "point_not_on_curve",
            Self::RateLimited => "rate_limited",
            Self::ShuttingDown => "shutting_down",
            Self::SignatureMismatch => "signature_mismatch",
            Self::TokenExpired => "token_expired",
            Self::HsmUnavailable => "hsm_unavailable",
            Self::Unauthenticated => "unauthenticated",
            Self::KeyNotFound => "key_not_found",
            Self::VersionNotFound => "version_not_found",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::InvalidKeyState => "invalid_key_state",
        }
    }
}

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
            Unauthenticated::WrongNetwork => ErrorCode::Forbidden,
            Unauthenticated::Signature => ErrorCode::SignatureMismatch,
            Unauthenticated::Malformed
            | Unauthenticated::Missing
            | Unauthenticated::Replayed
            | Unauthenticated::SignedForm(_)
            | Unauthenticated::SignedTimes
            | Unauthenticated::Unknown => ErrorCode::Unauthenticated,
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
            | TransitionError::Superseded
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
            EnclaveError::FaultDetected
            | EnclaveError::Internal(_)
            | EnclaveError::KeyDamaged
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
