//! Wrapping schemes and their variants: what a record names. Nothing falls back to another.
//!
//! A new scheme is a variant here, with a sibling of `gcm` that `sealing` calls.

use super::kek::KekKind;
use crate::pkcs11::{Function, GcmMechanism, IV_LEN, KeyWrap, OaepHash, RSA_LEN, TAG_LEN, TokenError};
use crate::settings::SchemeChoice;

/// Length of what is wrapped, bytes.
pub(crate) const PLAIN_LEN: usize = 32;
/// Length of the salt of S6, bytes.
pub(super) const SALT_LEN: usize = 32;
/// Length of the longest signature on a record of S5, bytes; a shorter one is followed by zeros.
pub(super) const ENDORSEMENT_LEN: usize = 384;
/// The longest output of any scheme, bytes.
pub(super) const SEALED_MAX: usize = 1024;

/// How a scalar is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// AES-256-GCM by C_Encrypt and C_Decrypt; the record's header is the additional authenticated data.
    S1(IvPolicy),
    /// AES key wrap of scalar and digest of the header, by C_Encrypt and C_Decrypt.
    S2(KeyWrap),
    /// RSA-OAEP of scalar and digest of the header, sealed with the public key in guarded memory, opened by C_Decrypt; the
    /// checkpoint key endorses the record.
    S5(OaepHash),
    /// AES-256-GCM in guarded memory, under a key of the record that the token derives by HMAC-SHA-256.
    S6,
}

/// Who chooses the initialisation vector of S1, and where the token leaves its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IvPolicy {
    /// 96 random bits of the service; the token must leave them as they are.
    Caller,
    /// The service gives 12 zero bytes, and the token overwrites them with its own (AWS CloudHSM).
    Token,
    /// The token ignores what it is given and appends 16 bytes of its own to the output (Luna in FIPS mode).
    Appended,
    /// As `Appended`, where the token refuses to be given one (Luna in FIPS mode from firmware 7.9.3).
    AppendedUnasked,
    /// AWS CloudHSM's own mechanism: given none, the token puts 12 bytes in front of the output.
    CloudHsm,
    /// Google kmsp11's own mechanism: as `Token`.
    CloudKms,
}

/// Where the initialisation vector of a fresh record is found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum IvPlace {
    Given,
    WrittenBack,
    Appended,
    InFront,
}

impl Scheme {
    /// The order in which new installations try them.
    pub(crate) const ALL: &[Self] = &[
        Self::S1(IvPolicy::Caller),
        Self::S1(IvPolicy::Token),
        Self::S1(IvPolicy::Appended),
        Self::S1(IvPolicy::AppendedUnasked),
        Self::S1(IvPolicy::CloudHsm),
        Self::S1(IvPolicy::CloudKms),
        Self::S6,
        Self::S2(KeyWrap::Rfc3394),
        Self::S2(KeyWrap::Rfc5649),
        Self::S5(OaepHash::Sha256),
        Self::S5(OaepHash::Sha1),
    ];

    /// Those of them that the settings allow, in the same order.
    pub(crate) fn admitted(choice: SchemeChoice) -> Vec<Self> {
        Self::ALL.iter().copied().filter(|scheme| scheme.is_admitted(choice)).collect()
    }

    /// Whether the settings allow it.
    pub(crate) fn is_admitted(self, choice: SchemeChoice) -> bool {
        match choice {
            SchemeChoice::Auto => true,
            SchemeChoice::S1 => matches!(self, Self::S1(_)),
            SchemeChoice::S2 => matches!(self, Self::S2(_)),
            SchemeChoice::S5 => matches!(self, Self::S5(_)),
            SchemeChoice::S6 => self == Self::S6,
        }
    }

    /// Its two numbers in a record: of the scheme and of the variant.
    pub(crate) const fn numbers(self) -> [u8; 2] {
        match self {
            Self::S1(policy) => [1, policy.number()],
            Self::S2(KeyWrap::Rfc3394) => [2, 1],
            Self::S2(KeyWrap::Rfc5649) => [2, 2],
            Self::S5(OaepHash::Sha256) => [5, 1],
            Self::S5(OaepHash::Sha1) => [5, 2],
            Self::S6 => [6, 1],
        }
    }

    /// The scheme with these numbers.
    pub(crate) fn from_numbers(numbers: [u8; 2]) -> Option<Self> {
        Self::ALL.iter().copied().find(|scheme| scheme.numbers() == numbers)
    }

    /// The kind of key-encryption key that it needs.
    pub(crate) const fn kek_kind(self) -> KekKind {
        match self {
            Self::S1(_) | Self::S2(_) => KekKind::Aes,
            Self::S5(_) => KekKind::Rsa,
            Self::S6 => KekKind::Mac,
        }
    }

    /// Whether everyone can seal, so that the checkpoint key must sign each record.
    pub(crate) const fn needs_endorsement(self) -> bool {
        matches!(self, Self::S5(_))
    }

    /// Its name in diagnostics and documents.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::S1(_) => "S1",
            Self::S2(_) => "S2",
            Self::S5(_) => "S5",
            Self::S6 => "S6",
        }
    }

    /// The name of its variant: for S1 the IV policy, for S2 the padding.
    pub(crate) const fn variant(self) -> &'static str {
        match self {
            Self::S1(policy) => policy.name(),
            Self::S2(KeyWrap::Rfc3394) => "kw",
            Self::S2(KeyWrap::Rfc5649) => "kwp",
            Self::S5(OaepHash::Sha256) => "oaep-sha256",
            Self::S5(OaepHash::Sha1) => "oaep-sha1",
            Self::S6 => "hmac-sha256",
        }
    }

    /// Whether two records may not have the same IV. S2 and S5 have none.
    pub(crate) const fn has_iv(self) -> bool {
        self.iv_len() > 0
    }

    /// Length of the IV of its records, bytes; for S6 of the salt.
    pub(crate) const fn iv_len(self) -> usize {
        match self {
            Self::S1(policy) => match policy.place() {
                IvPlace::Appended => 16,
                IvPlace::Given | IvPlace::WrittenBack | IvPlace::InFront => IV_LEN,
            },
            Self::S2(_) | Self::S5(_) => 0,
            Self::S6 => SALT_LEN,
        }
    }

    /// Length of the sealed part of its records, bytes.
    pub(crate) const fn sealed_len(self) -> usize {
        const { assert!(PLAIN_LEN + TAG_LEN <= SEALED_MAX) };
        match self {
            Self::S1(_) | Self::S6 => PLAIN_LEN + TAG_LEN,
            // Scalar and digest, and one block of check.
            Self::S2(_) => PLAIN_LEN + 32 + 8,
            // Ciphertext and endorsement.
            Self::S5(_) => RSA_LEN + ENDORSEMENT_LEN,
        }
    }
}

impl std::fmt::Display for Scheme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.name(), self.variant())
    }
}

impl IvPolicy {
    const fn number(self) -> u8 {
        match self {
            Self::Caller => 1,
            Self::Token => 2,
            Self::Appended => 3,
            Self::AppendedUnasked => 4,
            Self::CloudHsm => 5,
            Self::CloudKms => 6,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Token => "token",
            Self::Appended => "appended",
            Self::AppendedUnasked => "appended-unasked",
            Self::CloudHsm => "cloudhsm",
            Self::CloudKms => "cloudkms",
        }
    }

    pub(super) const fn place(self) -> IvPlace {
        match self {
            Self::Caller => IvPlace::Given,
            Self::Token | Self::CloudKms => IvPlace::WrittenBack,
            Self::Appended | Self::AppendedUnasked => IvPlace::Appended,
            Self::CloudHsm => IvPlace::InFront,
        }
    }

    /// Bytes of the vector that the encryption is given.
    pub(super) const fn given_len(self) -> usize {
        match self {
            Self::Caller | Self::Token | Self::Appended | Self::CloudKms => IV_LEN,
            Self::AppendedUnasked | Self::CloudHsm => 0,
        }
    }

    pub(super) const fn mechanism(self) -> GcmMechanism {
        match self {
            Self::Caller | Self::Token | Self::Appended | Self::AppendedUnasked => GcmMechanism::Standard,
            Self::CloudHsm => GcmMechanism::CloudHsm,
            Self::CloudKms => GcmMechanism::CloudKms,
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
    /// The vector is worthless or not the agreed one: two records could have the same.
    #[error("{0}")]
    Iv(&'static str),
}

impl SealError {
    /// The answer of the token as a refusal, for the recovery table; the error itself where the host failed.
    pub(crate) fn into_token_error(self) -> Result<TokenError, getrandom::Error> {
        match self {
            Self::Token(error) => Ok(error),
            Self::Random(error) => Err(error),
            Self::Length(_) => {
                Ok(TokenError::protocol_violation(Function::Encrypt, "its ciphertext has another length"))
            }
            Self::Iv(what) => Ok(TokenError::protocol_violation(Function::Encrypt, what)),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_has_numbers_and_a_name_of_its_own() {
        for (at, scheme) in Scheme::ALL.iter().enumerate() {
            assert_eq!(Scheme::from_numbers(scheme.numbers()), Some(*scheme));
            assert!(scheme.sealed_len() <= SEALED_MAX);
            for other in Scheme::ALL.iter().skip(at + 1) {
                assert_ne!(scheme.numbers(), other.numbers());
                assert_ne!(scheme.to_string(), other.to_string());
            }
        }
    }
}
