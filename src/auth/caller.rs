//! From the `Authorization` header to a [`Caller`], and from a caller to a permission.

use jiff::Timestamp;
use thiserror::Error;

use super::{BearerToken, Scope, Scopes, Subject, TokenHash, TokenId, TokenRecord};
use crate::key::Eoa;

/// Somebody whose identity was proven. Made only by [`authenticate`], [`Caller::local`] and
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
    Token { id: TokenId, subject: Subject },
}

/// Why nobody was recognised. All of it is 401; which of it, only the expired holder is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unauthenticated {
    /// The token was good once.
    #[error("the token has expired; issue or request a new one")]
    Expired,
    /// Something else than `Bearer kms_…`.
    #[error("the Authorization header must be: Bearer kms_…")]
    Malformed,
    /// No `Authorization` header.
    #[error("this call needs a token: send the header Authorization: Bearer kms_…")]
    Missing,
    /// No such token, or a revoked one.
    #[error("the token is not valid")]
    Unknown,
}

/// The caller is known but may not do this. The same words whether the key exists or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Forbidden {
    /// What cannot be undone needs a signature of its own or the machine's own command line.
    #[error(
        "a bearer token alone is not enough for this: sign the request itself (Authorization: EIP712 …, \
         GET /v1/auth/typed-data) or use the command line on the service's own machine"
    )]
    NeedsSignature,
    /// The caller acts for another EOA.
    #[error("the token is not for this EOA")]
    OtherEoa,
    /// The token lacks the scope.
    #[error("the token lacks the scope {0}")]
    Scope(Scope),
}

/// The caller behind an `Authorization` header.
///
/// # Errors
/// See [`Unauthenticated`]. An expired token is told apart only by who holds it, so that holder may be told.
pub fn authenticate(
    header: Option<&str>,
    now: Timestamp,
    look_up: impl FnOnce(&TokenHash) -> Option<TokenRecord>,
) -> Result<Caller, Unauthenticated> {
    let header = header.ok_or(Unauthenticated::Missing)?;
    let (scheme, credentials) = header.split_once(' ').ok_or(Unauthenticated::Malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Unauthenticated::Malformed);
    }
    let token = BearerToken::parse(credentials.trim()).ok_or(Unauthenticated::Malformed)?;
    let record = look_up(&token.hash()).ok_or(Unauthenticated::Unknown)?;
    if record.revoked_at.is_some() {
        return Err(Unauthenticated::Unknown);
    }
    if now >= record.expires_at {
        return Err(Unauthenticated::Expired);
    }
    Ok(Caller { identity: Identity::Token { id: record.id, subject: record.subject }, scopes: record.scopes })
}

impl Caller {
    /// The machine's own operator: whoever can open the data directory or its socket.
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

    /// The EOA that the caller's token is bound to, if to one.
    pub const fn eoa(&self) -> Option<Eoa> {
        match &self.identity {
            Identity::Token { subject: Subject::Eoa(eoa), .. } => Some(*eoa),
            Identity::Token { subject: Subject::Any, .. } | Identity::Local | Identity::Service => None,
        }
    }

    /// The id of the caller's token, if there is one.
    pub const fn token_id(&self) -> Option<&TokenId> {
        match &self.identity {
            Identity::Token { id, .. } => Some(id),
            Identity::Local | Identity::Service => None,
        }
    }

    /// Whether the caller has a scope, for what concerns no particular EOA.
    pub const fn has(&self, scope: Scope) -> bool {
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
            Identity::Token { subject: Subject::Eoa(eoa), .. } => eoa == owner,
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
            Identity::Local | Identity::Service => Ok(()),
            Identity::Token { .. } => Err(Forbidden::NeedsSignature),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    const OWN: Eoa = Eoa::new([1; 20]);
    const OTHER: Eoa = Eoa::new([2; 20]);

    fn record(subject: Subject, scopes: Scopes) -> TokenRecord {
        TokenRecord {
            id: TokenId::random().unwrap(),
            subject,
            scopes,
            created_at: Timestamp::from_second(1_000).unwrap(),
            expires_at: Timestamp::from_second(2_000).unwrap(),
            revoked_at: None,
        }
    }

    fn present(record: Option<TokenRecord>, now: i64) -> Result<Caller, Unauthenticated> {
        let token = BearerToken::random().unwrap();
        let header = format!("Bearer {}", token.expose());
        authenticate(Some(&header), Timestamp::from_second(now).unwrap(), |hash| {
            assert!(*hash == token.hash());
            record
        })
    }

    #[test]
    fn a_token_works_until_the_second_it_expires() {
        let good = || Some(record(Subject::Eoa(OWN), Scopes::all()));
        assert_eq!(present(good(), 1_999).unwrap().eoa(), Some(OWN));
        assert_eq!(present(good(), 2_000).unwrap_err(), Unauthenticated::Expired);
        assert_eq!(present(None, 1_500).unwrap_err(), Unauthenticated::Unknown);
    }

    #[test]
    fn a_revoked_token_is_as_unknown_as_a_made_up_one() {
        let mut revoked = record(Subject::Eoa(OWN), Scopes::all());
        revoked.revoked_at = Some(revoked.created_at);
        assert_eq!(present(Some(revoked), 3_000).unwrap_err(), Unauthenticated::Unknown);
    }

    #[test]
    fn headers_of_another_form_are_refused_before_any_look_up() {
        let never = |_: &TokenHash| panic!("looked up");
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(authenticate(None, now, never).unwrap_err(), Unauthenticated::Missing);
        for header in ["", "Bearer", "Bearer ", "Bearer kms_12", "Basic a2V5", "kms_", "EIP712 operator=0x"] {
            assert_eq!(authenticate(Some(header), now, never).unwrap_err(), Unauthenticated::Malformed);
        }
    }

    #[test]
    fn every_scope_times_every_owner_is_decided() {
        for held in Scope::ALL {
            let scopes = [held].into_iter().collect();
            let own = present(Some(record(Subject::Eoa(OWN), scopes)), 1_500).unwrap();
            let any = present(Some(record(Subject::Any, scopes)), 1_500).unwrap();
            for asked in Scope::ALL {
                let expected = if asked == held { Ok(()) } else { Err(Forbidden::Scope(asked)) };
                assert_eq!(own.may(asked, &OWN), expected);
                assert_eq!(own.may(asked, &OTHER), Err(Forbidden::OtherEoa));
                assert_eq!(any.may(asked, &OTHER), expected);
                assert_eq!(Caller::local().may(asked, &OTHER), Ok(()));
                assert_eq!(Caller::local().may_irrevocably(asked, &OTHER), Ok(()));
                let bearer = if asked == held { Err(Forbidden::NeedsSignature) } else { expected };
                assert_eq!(own.may_irrevocably(asked, &OWN), bearer);
                assert_eq!(any.may_irrevocably(asked, &OTHER), bearer);
            }
        }
    }
}
