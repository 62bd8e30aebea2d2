//! Bearer tokens: what the caller holds, and what the service keeps of it.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::certificate::CertificateFingerprint;
use crate::auth::network::Networks;
use crate::auth::scope::Scopes;
use crate::key::{Eoa, KeyName};

const PREFIX: &str = "kms_";
const SECRET_LEN: usize = 32;

/// A token as its holder has it: `kms_` and 256 random bits in hex. Wiped when dropped, never shown.
pub struct AccessToken(SecretString);

impl AccessToken {
    /// A fresh token.
    ///
    /// # Errors
    /// When the kernel gives no randomness.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; SECRET_LEN];
        getrandom::fill(&mut bytes)?;
        Ok(Self(format!("{PREFIX}{}", hex::encode(bytes)).into()))
    }

    /// The token in this text, if it has the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX)?;
        let form = digits.len() == 2 * SECRET_LEN && digits.bytes().all(|b| b.is_ascii_hexdigit());
        form.then(|| Self(text.into()))
    }

    /// What the service keeps: SHA-256 of the text. A fast hash suffices for 256 random bits.
    pub fn hash(&self) -> AccessTokenHash {
        AccessTokenHash(Sha256::digest(self.0.expose_secret()).into())
    }

    /// The text, for the one answer that gives it to its holder.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(..)")
    }
}

/// SHA-256 of a token's text. Looking it up leaks at most bits of a hash, never of the token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AccessTokenHash([u8; 32]);

impl AccessTokenHash {
    /// The hash with these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for AccessTokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessTokenHash(..)")
    }
}

/// The public name of a token: `tok_` and 12 hex digits. It appears in records and listings.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccessTokenId(String);

impl AccessTokenId {
    /// A fresh id.
    ///
    /// # Errors
    /// When the kernel gives no randomness.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 6];
        getrandom::fill(&mut bytes)?;
        Ok(Self(format!("tok_{}", hex::encode(bytes))))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccessTokenId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let digits = text.strip_prefix("tok_").filter(|digits| digits.len() == 12);
        match digits {
            Some(digits) if digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err("an access token id is tok_ and 12 hex digits"),
        }
    }
}

impl fmt::Display for AccessTokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AccessTokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose keys a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Every EOA's (`*`): only the machine's own command line issues such a token.
    Any,
    /// One EOA's.
    Eoa(Eoa),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Eoa(eoa) => fmt::Display::fmt(eoa, f),
        }
    }
}

impl FromStr for Subject {
    type Err = crate::key::AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "*" { Ok(Self::Any) } else { text.parse().map(Self::Eoa) }
    }
}

/// Everything the service keeps of a token.
#[derive(Clone, Debug)]
pub struct AccessTokenRecord {
    /// Its public name.
    pub id: AccessTokenId,
    /// Whose keys it is good for.
    pub subject: Subject,
    /// What it allows.
    pub scopes: Scopes,
    /// When it was issued.
    pub created_at: Timestamp,
    /// When it stops to work.
    pub expires_at: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// Whether an operator got it by logging in; the others come from the machine's own command line.
    pub login: bool,
    /// From where it works.
    pub networks: Networks,
    /// Which keys of its subject it is for; none for all.
    pub keys: Vec<KeyName>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// The client certificate that it is pinned to, if to one.
    pub client_certificate: Option<CertificateFingerprint>,
}

impl AccessTokenRecord {
    /// Whether the token works on a connection whose client showed this certificate, or none.
    pub fn works_with(&self, shown: Option<CertificateFingerprint>) -> bool {
        self.client_certificate.is_none() || self.client_certificate == shown
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    #[test]
    fn a_token_survives_its_text_and_two_are_never_alike() {
        let token = AccessToken::random().unwrap();
        let again = AccessToken::parse(token.expose()).unwrap();
        assert!(token.hash() == again.hash());
        assert!(token.hash() != AccessToken::random().unwrap().hash());
    }

    #[test]
    fn a_token_is_never_printed() {
        let token = AccessToken::random().unwrap();
        assert_eq!(format!("{token:?}"), "AccessToken(..)");
    }

    #[test]
    fn what_has_not_the_form_of_a_token_is_none() {
        for text in ["", "kms_", "kms_00", &format!("kms_{}", "g".repeat(64)), &"0".repeat(68)] {
            assert!(AccessToken::parse(text).is_none(), "{text}");
        }
    }
}
