//! What a key allows to every caller: kinds of signing, networks, a rate. Set by its owner's machine, not by a token.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use thiserror::Error;

use super::network::Networks;
use super::scope::Scope;

/// A kind of signing. Through a raw point or digest any AVS signature can be had, so each is a right of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureKind {
    /// A raw 32-byte digest.
    Digest,
    /// A raw point.
    Point,
    /// Messages that the service builds itself.
    Typed,
}

impl SignatureKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Digest, Self::Point, Self::Typed];

    /// The kind that a scope is for; none for what signs nothing.
    pub const fn of(scope: Scope) -> Option<Self> {
        match scope {
            Scope::SignDigest => Some(Self::Digest),
            Scope::SignPoint => Some(Self::Point),
            Scope::SignTyped => Some(Self::Typed),
            Scope::AuditRead
            | Scope::KeysCreate
            | Scope::KeysDestroy
            | Scope::KeysRead
            | Scope::KeysRotate => None,
        }
    }

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Digest => "digest",
            Self::Point => "point",
            Self::Typed => "typed",
        }
    }
}

impl fmt::Display for SignatureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no kind of signing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a kind of signing is point, digest or typed")]
pub struct ParseSignatureKindError;

impl FromStr for SignatureKind {
    type Err = ParseSignatureKindError;

    fn from_str(text: &str) -> Result<Self, ParseSignatureKindError> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(ParseSignatureKindError)
    }
}

/// A set of kinds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SignatureKinds(u8);

impl SignatureKinds {
    /// All of them.
    pub const ALL: Self = Self(0b111);

    /// Whether this kind is in the set.
    pub const fn contains(self, kind: SignatureKind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// The kinds.
    pub fn iter(self) -> impl Iterator<Item = SignatureKind> {
        SignatureKind::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }
}

impl FromIterator<SignatureKind> for SignatureKinds {
    fn from_iter<I: IntoIterator<Item = SignatureKind>>(kinds: I) -> Self {
        Self(kinds.into_iter().fold(0, |bits, kind| bits | 1 << kind as u8))
    }
}

/// Words with a space between: the form that is stored.
impl fmt::Display for SignatureKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.iter().map(SignatureKind::as_str).collect();
        f.write_str(&words.join(" "))
    }
}

impl fmt::Debug for SignatureKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SignatureKinds {
    type Err = ParseSignatureKindError;

    fn from_str(text: &str) -> Result<Self, ParseSignatureKindError> {
        text.split_ascii_whitespace().map(str::parse).collect()
    }
}

/// What a key allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The kinds of signing.
    pub signing: SignatureKinds,
    /// From where it may be used.
    pub networks: Networks,
    /// How many signatures a minute, at most.
    pub per_minute: Option<NonZeroU32>,
}

/// A change of a policy: what it does not name stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyChange {
    /// The kinds of signing.
    pub signing: Option<SignatureKinds>,
    /// From where it may be used.
    pub networks: Option<Networks>,
    /// How many signatures a minute, at most; the inner `None` removes the limit.
    pub per_minute: Option<Option<NonZeroU32>>,
}

impl PolicyChange {
    /// The policy after the change.
    pub fn of(self, policy: &Policy) -> Policy {
        Policy {
            signing: self.signing.unwrap_or(policy.signing),
            networks: self.networks.unwrap_or_else(|| policy.networks.clone()),
            per_minute: self.per_minute.unwrap_or(policy.per_minute),
        }
    }
}

/// What holds for a key of which nothing was said: everything its owner's tokens allow.
impl Default for Policy {
    fn default() -> Self {
        Self { signing: SignatureKinds::ALL, networks: Networks::default(), per_minute: None }
    }
}
