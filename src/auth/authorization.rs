//! The one decision: (caller, what is asked, what was found of the key) → allowed, or denied with a reason.
//!
//! Pure, and asked twice: before anything is looked up, by caller and request alone, so that a refusal cannot tell
//! whether a key exists; and again with what was found. Rates are no part of it: they depend on the past.

use std::net::IpAddr;

use thiserror::Error;

use super::policy::{Policy, SignatureKind};
use super::principal::{Caller, Forbidden};
use super::scope::Scope;
use crate::key::{Eoa, KeyName, KeyState, SigningRefusal};

/// All of a request that the decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct AccessRequest<'a> {
    /// The scope that it takes.
    pub scope: Scope,
    /// Whether it cannot be undone.
    pub irrevocable: bool,
    /// Whether it signs what the service itself says, with whatever scope: then the key's kinds do not matter.
    pub proves: bool,
    /// Whose keys it touches.
    pub owner: Eoa,
    /// Which of them, if one.
    pub name: Option<&'a KeyName>,
    /// From where it comes; none for the machine's own operator.
    pub from: Option<IpAddr>,
}

/// What was found of the key.
#[derive(Clone, Copy, Debug)]
pub struct AccessTarget<'a> {
    /// The state of the version that is meant.
    pub state: KeyState,
    /// What the key allows.
    pub policy: &'a Policy,
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Denied {
    /// This caller may not, or not in this way.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The version does not sign, for any caller.
    #[error(transparent)]
    State(#[from] SigningRefusal),
}

/// Allowed, or the reason why not. What is not allowed by a line of this function is denied.
///
/// # Errors
/// The first reason: of the caller, then of the key's policy, then of its state.
pub fn decide(
    caller: &Caller,
    ask: &AccessRequest<'_>,
    found: Option<AccessTarget<'_>>,
) -> Result<(), Denied> {
    if ask.irrevocable {
        caller.may_irrevocably(ask.scope, &ask.owner)?;
    } else {
        caller.may(ask.scope, &ask.owner)?;
    }
    caller.may_touch(ask.name)?;
    // Reads and moves of a version are not signing: what states allow them is for the state machine to say.
    let kind = SignatureKind::of(ask.scope).filter(|_| !ask.proves);
    let Some(found) = found.filter(|_| ask.proves || kind.is_some()) else { return Ok(()) };
    if let Some(kind) = kind.filter(|kind| !found.policy.signing.contains(*kind)) {
        return Err(Forbidden::SignatureKind(kind).into());
    }
    if ask.from.is_some_and(|from| !found.policy.networks.contain(from)) {
        return Err(Forbidden::KeyNetwork.into());
    }
    Ok(found.state.may_sign()?)
}

/// The same for reading what concerns an EOA as a whole, where the request names none: whose it is that the caller
/// reads; none for those of all EOAs.
///
/// # Errors
/// When the caller lacks the scope, or its token names keys: what is read would tell of the others.
pub fn decide_own(caller: &Caller, scope: Scope) -> Result<Option<Eoa>, Denied> {
    if !caller.has(scope) {
        return Err(Forbidden::Scope(scope).into());
    }
    caller.may_touch(None)?;
    Ok(caller.eoa())
}

#[cfg(test)]
mod tests;
