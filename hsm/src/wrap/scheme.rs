//! Wrapping schemes and who chooses their initialisation vector: what a record names. Nothing falls back to another.
//!
//! A new scheme is a variant here, with a sibling of `gcm` that `sealing` calls.

use crate::pkcs11::{Function, TokenError};

/// How a scalar is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// AES-256-GCM by C_Encrypt and C_Decrypt; the record's header is the additional authenticated data.
    S1,
}

/// Who chooses the initialisation vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IvPolicy {
    /// 96 random bits of the service. A token that replaces them leaves its own in the record.
    Caller,
}

impl Scheme {
    /// The order in which new installations try them.
    pub(crate) const ALL: &[Self] = &[Self::S1];

    /// Its number in a record.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::S1 => 1,
        }
    }

    /// The scheme with this number.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|scheme| scheme.number() == number)
    }

    /// Its name in diagnostics and documents.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::S1 => "S1",
        }
    }

    /// The policy that new records get.
    pub(crate) const fn iv_policy(self) -> IvPolicy {
        match self {
            Self::S1 => IvPolicy::Caller,
        }
    }
}

impl IvPolicy {
    /// Its number in a record.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Caller => 1,
        }
    }

    /// The policy with this number.
    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Caller),
            _ => None,
        }
    }
}

/// Why nothing was sealed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("the kernel's generator failed")]
    Random(#[from] getrandom::Error),
    #[error("the token made {0} bytes of ciphertext")]
    Length(usize),
}

/// Why a record gave no scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnwrapError {
    /// The token refused. Only the canary tells whether the record or the token is at fault.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The token reports success and gave another number of bytes.
    #[error("the token gave {0} bytes where 32 were sealed")]
    Length(usize),
}

impl UnwrapError {
    /// The same as a failed call, for the recovery table.
    pub(crate) fn as_token_error(self) -> TokenError {
        match self {
            Self::Token(error) => error,
            Self::Length(_) => TokenError::protocol_violation(
                Function::Decrypt,
                "it gave another number of bytes than were sealed",
            ),
        }
    }
}
