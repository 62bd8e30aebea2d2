//! One attempt of an operation: what it works with, and why it came to nothing. Not for repeating it.

use super::canary::CanaryError;
use super::connection::TokenConnection;
use crate::arena::Arena;
use crate::error::EnclaveError;
use crate::pkcs11::{Session, TokenError};
use crate::records::RecordsError;

/// What one attempt has to work with.
pub(crate) struct Attempt<'a> {
    pub(crate) session: &'a Session,
    pub(crate) connection: &'a TokenConnection,
    pub(crate) arena: &'a mut Arena,
}

/// Why one attempt of an operation came to nothing.
#[derive(Debug)]
pub(crate) enum AttemptError {
    /// The token refused a call, or its answer could not be right.
    Token(TokenError),
    /// The multiplication was wrong though the scalar was right.
    Fault,
    /// Decided; not to be tried again.
    Final(EnclaveError),
}

impl From<TokenError> for AttemptError {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}

impl From<EnclaveError> for AttemptError {
    fn from(error: EnclaveError) -> Self {
        Self::Final(error)
    }
}

impl From<RecordsError> for AttemptError {
    fn from(error: RecordsError) -> Self {
        match error {
            RecordsError::Token(error) => error.into(),
            RecordsError::Outside(source) => EnclaveError::Records(source).into(),
        }
    }
}

impl From<CanaryError> for AttemptError {
    fn from(error: CanaryError) -> Self {
        error.as_token_error().into()
    }
}
