//! From the `Authorization` header to a [`Caller`], and from a caller to a permission.

use std::net::IpAddr;

use jiff::Timestamp;
use thiserror::Error;

use super::credentials::signed_request::{Credentials, CredentialsError, RequestToSign};
use super::credentials::token::{AccessToken, AccessTokenHash, AccessTokenId, AccessTokenRecord, Subject};
use super::policy::SignatureKind;
use super::scope::{Scope, Scopes};
use crate::key::{Eoa, KeyName};

/// A caller whose identity was proven. Made only by [`authenticate`], [`authenticate_signed`], [`Caller::local`] and
/// [`Caller::service`].
#[derive(Clone, Debug)]
pub struct Caller {
    identity: Identity,
    scopes: Scopes,
}

#[derive(Clone, Debug)]
enum Identity {
    Local,
    Service,
    /// The EOA signed this very request.
    Signed(Eoa),
    Token {
        id: AccessTokenId,
        subject: Subject,
        keys: Vec<KeyName>,
    },
}

/// Why no caller was recognised. Each is 401; only the holder of an expired token learns which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unauthenticated {
    /// The token was good once.
    #[error("the access token has expired; issue one, or log in again")]
    Expired,
    /// A token that was presented from a network where it does not work: the same words as for an unknown one.
    #[error("the access token is not valid")]
    WrongNetwork,
    /// Something else than `Bearer kms_…`.
    #[error("the Authorization header must be: Bearer kms_…")]
    Malformed,
    /// No `Authorization` header.
    #[error("this call needs an access token: send the header Authorization: Bearer kms_…")]
    Missing,
    /// The signature on the request was used before.
    #[error("this signature was used already; sign each request with a nonce of its own")]
    Replayed,
    /// The signature is not by the operator that the header names, or not over this request.
    #[error(
        "the signature is not this operator's over this request (audience, installation, method, path with query, body, times, \
         nonce)"
    )]
    Signature,
    /// The header `EIP712 …` is not understood.
    #[error(transparent)]
    SignedForm(#[from] CredentialsError),
    /// Too old, from the future or good for too long.
    #[error("the signature is not valid now: issued by now, at most 300 seconds before it expires")]
    SignedTimes,
    /// No such token, or a revoked one.
    #[error("the access token is not valid")]
    Unknown,
}

/// The caller is known but may not do this. The same words whether the key exists or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Forbidden {
    /// What cannot be undone needs a signature of its own or the machine's own command line.
    #[error(
        "an access token alone is not enough for this: sign the request itself (Authorization: EIP712 …, \
         GET /v1/auth/typed-data) or use the command line on the service's own machine"
    )]
    NeedsSignature,
    /// The key is used from some networks only.
    #[error("this key is not used from this address")]
    KeyNetwork,
    /// The caller acts for another EOA.
    #[error("the access token is not for this EOA")]
    OtherEoa,
    /// The token is for certain keys of the EOA.
    #[error("the access token is not for this key")]
    OtherKey,
    /// The key does not allow this kind of signing.
    #[error("this key does not allow {0} signing")]
    SignatureKind(SignatureKind),
    /// The token lacks the scope.
    #[error("the access token lacks the scope {0}")]
    Scope(Scope),
}

/// The caller behind an `Authorization` header.
///
/// # Errors
/// See [`Unauthenticated`]. Only the holder of an expired token learns that it has expired.
pub fn authenticate(
    header: Option<&str>,
    from: Option<IpAddr>,
    now: Timestamp,
    look_up: impl FnOnce(&AccessTokenHash) -> Option<AccessTokenRecord>,
) -> Result<Caller, Unauthenticated> {
    let header = header.ok_or(Unauthenticated::Missing)?;
    let (scheme, credentials) = header.split_once(' ').ok_or(Unauthenticated::Malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Unauthenticated::Malformed);
    }
    let token = AccessToken::parse(credentials.trim()).ok_or(Unauthenticated::Malformed)?;
    let record = look_up(&token.hash()).ok_or(Unauthenticated::Unknown)?;
    if record.revoked_at.is_some() {
        return Err(Unauthenticated::Unknown);
    }
    if from.is_some_and(|from| !record.networks.contain(from)) {
        return Err(Unauthenticated::WrongNetwork);
    }
    if now >= record.expires_at {
        return Err(Unauthenticated::Expired);
    }
    let AccessTokenRecord { id, subject, keys, scopes, .. } = record;
    Ok(Caller { identity: Identity::Token { id, subject, keys }, scopes })
}

/// The caller whose EOA signed this very request: every right, over the EOA's own keys.
///
/// # Errors
/// When the times are wrong, or the signature is not the operator's over this request. Whether it was used before is
/// another matter.
pub fn authenticate_signed(
    credentials: &Credentials,
    request: &RequestToSign<'_>,
    now: Timestamp,
) -> Result<Caller, Unauthenticated> {
    if !credentials.in_time(u64::try_from(now.as_second()).unwrap_or_default()) {
        return Err(Unauthenticated::SignedTimes);
    }
    if credentials.signature.signer(&request.digest()) != Some(credentials.operator) {
        return Err(Unauthenticated::Signature);
    }
    Ok(Caller { identity: Identity::Signed(credentials.operator), scopes: Scopes::all() })
}

impl Caller {
    /// The administrator of this host: any process that can open the data directory or its socket.
    pub fn local() -> Self {
        Self { identity: Identity::Local, scopes: Scopes::all() }
    }

    /// The service itself, doing what a schedule says.
    pub fn service() -> Self {
        Self { identity: Identity::Service, scopes: Scopes::all() }
    }

    /// Whether the caller is the service itself.
    pub const fn is_service(&self) -> bool {
        matches!(self.identity, Identity::Service)
    }

    /// Whether the caller is the machine's own operator.
    pub const fn is_local(&self) -> bool {
        matches!(self.identity, Identity::Local)
    }

    /// Whether the caller's EOA signed this very request.
    pub const fn is_signed(&self) -> bool {
        matches!(self.identity, Identity::Signed(_))
    }

    /// The EOA that the caller's token is bound to, or that signed the request.
    pub const fn eoa(&self) -> Option<Eoa> {
        match &self.identity {
            Identity::Signed(eoa) | Identity::Token { subject: Subject::Eoa(eoa), .. } => Some(*eoa),
            Identity::Token { subject: Subject::Any, .. } | Identity::Local | Identity::Service => None,
        }
    }

    /// The id of the caller's token, if there is one.
    pub const fn token_id(&self) -> Option<&AccessTokenId> {
        match &self.identity {
            Identity::Token { id, .. } => Some(id),
            Identity::Local | Identity::Service | Identity::Signed(_) => None,
        }
    }

    /// Whether the caller has a scope, for what concerns no particular EOA.
    pub(super) const fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(scope)
    }

    /// Whether the caller may do something that needs `scope` with a key of `owner`. Deny unless allowed.
    ///
    /// # Errors
    /// The reason, which depends on the caller and the request alone.
    pub fn may(&self, scope: Scope, owner: &Eoa) -> Result<(), Forbidden> {
        let own = match &self.identity {
            Identity::Local | Identity::Service => true,
            Identity::Token { subject: Subject::Any, .. } => true,
            Identity::Signed(eoa) | Identity::Token { subject: Subject::Eoa(eoa), .. } => eoa == owner,
        };
        if !own {
            Err(Forbidden::OtherEoa)
        } else if !self.scopes.contains(scope) {
            Err(Forbidden::Scope(scope))
        } else {
            Ok(())
        }
    }
}

impl Caller {
    /// Like [`may`](Self::may), for what cannot be undone: the caller signed this very request, or is the
    /// machine's own operator. A bearer token never suffices, whatever its scopes.
    ///
    /// # Errors
    /// The reason, which depends on the caller and the request alone.
    pub fn may_irrevocably(&self, scope: Scope, owner: &Eoa) -> Result<(), Forbidden> {
        self.may(scope, owner)?;
        match &self.identity {
            Identity::Local | Identity::Service | Identity::Signed(_) => Ok(()),
            Identity::Token { .. } => Err(Forbidden::NeedsSignature),
        }
    }

    /// Whether the caller's token is for this key, or for the EOA as a whole where no key is meant.
    ///
    /// # Errors
    /// When the token names keys, and not this one.
    pub(super) fn may_touch(&self, name: Option<&KeyName>) -> Result<(), Forbidden> {
        match &self.identity {
            Identity::Token { keys, .. } if !keys.is_empty() => {
                let named = name.is_some_and(|name| keys.contains(name));
                if named { Ok(()) } else { Err(Forbidden::OtherKey) }
            }
            Identity::Local | Identity::Service | Identity::Signed(_) | Identity::Token { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
