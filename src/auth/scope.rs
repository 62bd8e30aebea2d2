//! The rights a token can carry (`docs/concepts/identities-and-scopes.md`).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// One right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Read the caller's own audit records.
    AuditRead,
    /// Make keys.
    KeysCreate,
    /// Destroy and restore keys.
    KeysDestroy,
    /// List and show keys.
    KeysRead,
    /// Move versions through their life.
    KeysRotate,
    /// Sign a raw 32-byte digest.
    SignDigest,
    /// Multiply a raw point.
    SignPoint,
    /// Sign messages that the service builds itself.
    SignTyped,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 8] = [
        Self::AuditRead,
        Self::KeysCreate,
        Self::KeysDestroy,
        Self::KeysRead,
        Self::KeysRotate,
        Self::SignDigest,
        Self::SignPoint,
        Self::SignTyped,
    ];

    /// Its name in requests and tokens.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuditRead => "audit:read",
            Self::KeysCreate => "keys:create",
            Self::KeysDestroy => "keys:destroy",
            Self::KeysRead => "keys:read",
            Self::KeysRotate => "keys:rotate",
            Self::SignDigest => "sign:digest",
            Self::SignPoint => "sign:point",
            Self::SignTyped => "sign:typed",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not a scope.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "this is not a scope; the scopes are keys:read keys:create keys:rotate keys:destroy \
     sign:point sign:digest sign:typed audit:read"
)]
pub struct ParseScopeError;

impl FromStr for Scope {
    type Err = ParseScopeError;

    fn from_str(text: &str) -> Result<Self, ParseScopeError> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or(ParseScopeError)
    }
}

/// A set of scopes. There is no default: an empty set is written as one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// The set with nothing in it.
    pub const NONE: Self = Self(0);

    /// The set of all scopes.
    pub fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }

    /// Whether the set has this scope.
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether nothing is allowed.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set as one byte, for what is read again within minutes: the order of the scopes may change.
    pub(in crate::auth) const fn bits(self) -> u8 {
        self.0
    }

    /// The set that [`bits`](Self::bits) wrote.
    pub(in crate::auth) const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// Whether every scope of `other` is in this set.
    pub const fn includes(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// The scopes, in the order of their words.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

/// Words with a space between: the form that is stored and logged.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Scopes {
    type Err = ParseScopeError;

    fn from_str(text: &str) -> Result<Self, ParseScopeError> {
        text.split_ascii_whitespace().map(str::parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_exactly_what_was_put_in_and_survives_its_text() {
        for only in Scope::ALL {
            let set: Scopes = [only].into_iter().collect();
            for scope in Scope::ALL {
                assert_eq!(set.contains(scope), scope == only);
            }
            assert_eq!(set.to_string().parse(), Ok(set));
        }
        assert_eq!(Scopes::all().to_string().parse(), Ok(Scopes::all()));
        assert!(Scopes::NONE.is_empty());
    }

    #[test]
    fn an_unknown_word_is_refused() {
        assert!("keys:read sign:everything".parse::<Scopes>().is_err());
    }
}
