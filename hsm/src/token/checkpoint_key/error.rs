//! Why there is no checkpoint key. Not for signatures that fail.

use crate::pkcs11::TokenError;
use crate::records::RecordsError;
use crate::wrap::{GenerateError, SealError};

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckpointKeyError {
    #[error("{0}")]
    Unfit(String),
    /// Of the token, where no other kind of key may be tried.
    #[error("{problem}")]
    Stop { problem: String },
    #[error("its sealed seed cannot be read or written: {0}")]
    Outside(Box<dyn std::error::Error + Send + Sync>),
    #[error("the kernel's generator failed")]
    Random(#[from] getrandom::Error),
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl CheckpointKeyError {
    /// Whether the token may make a key of another kind: not where it is away, or keeps what it should destroy.
    pub(super) fn is_of_this_kind(&self) -> bool {
        match self {
            Self::Unfit(_) => true,
            Self::Token(error) => !error.is_outage(),
            Self::Stop { .. } | Self::Outside(_) | Self::Random(_) => false,
        }
    }
}

pub(super) fn unfit(problem: impl Into<String>) -> CheckpointKeyError {
    CheckpointKeyError::Unfit(problem.into())
}

impl From<RecordsError> for CheckpointKeyError {
    fn from(error: RecordsError) -> Self {
        match error {
            RecordsError::Token(error) => error.into(),
            RecordsError::Outside(source) => Self::Outside(source),
        }
    }
}

impl From<GenerateError> for CheckpointKeyError {
    fn from(error: GenerateError) -> Self {
        match error {
            GenerateError::Token(error) => error.into(),
            GenerateError::Random(error) => error.into(),
            GenerateError::Exhausted => unfit("no seed could be drawn"),
        }
    }
}

impl From<SealError> for CheckpointKeyError {
    fn from(error: SealError) -> Self {
        match error.into_token_error() {
            Ok(error) => error.into(),
            Err(error) => error.into(),
        }
    }
}
