//! Why keys were not moved. Not for what a start can meet: [`OpenError`].

use crate::arena::ArenaError;
use crate::error::OpenError;
use crate::key::KeyId;
use crate::pkcs11::TokenError;
use crate::records::RecordsError;
use crate::token::checkpoint_key::CheckpointKeyError;
use crate::wrap::{KekError, SealError, UnwrapError};

/// Why a move did not go on. Nothing on the old side was changed before the move was final.
#[derive(Debug, thiserror::Error)]
pub enum RewrapError {
    /// A token cannot be opened, or refused a call.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The two sides do not fit together; says what to do.
    #[error("{0}")]
    Refused(String),
    /// A record of the old side cannot be moved.
    #[error("key {key}: {problem}")]
    Key {
        /// The key.
        key: KeyId,
        /// What is wrong with it, and what to do.
        problem: &'static str,
    },
}

macro_rules! by_open_error {
    ($($source:ty),+) => {
        $(impl From<$source> for RewrapError {
            fn from(error: $source) -> Self {
                Self::Open(error.into())
            }
        })+
    };
}

by_open_error!(ArenaError, TokenError, RecordsError, CheckpointKeyError, KekError);

impl From<SealError> for RewrapError {
    fn from(error: SealError) -> Self {
        Self::Open(match error.into_token_error() {
            Ok(error) => error.into(),
            Err(error) => error.into(),
        })
    }
}

impl From<UnwrapError> for RewrapError {
    fn from(error: UnwrapError) -> Self {
        error.as_token_error().into()
    }
}
