//! From an operation somebody asks for to one that somebody may do.

use crate::auth::{AccessRequest, AccessTarget, Caller, Scope, Unauthenticated, decide, decide_own};
use crate::key::KeyVersion;
use crate::key::{Eoa, KeyName};
use crate::service::{AuditSubject, Context, ErrorCode, Service, ServiceError};

/// An operation on the keys of an EOA, and what it takes.
pub(in crate::service) trait Operation {
    /// Its name in the audit log.
    fn name(&self) -> &'static str;
    /// The scope that it needs.
    fn scope(&self) -> Scope;
    /// Whose keys it touches.
    fn owner(&self) -> Eoa;
    /// Which of them, if one.
    fn key_name(&self) -> Option<&KeyName>;
    /// Whether it cannot be undone, so that a bearer token is not enough.
    fn is_irrevocable(&self) -> bool {
        false
    }
    /// Whether it signs what the service itself says, by the right of another operation.
    fn is_proof(&self) -> bool {
        false
    }
}

/// An operation that its caller may do. Made only by [`Service::authorise`]; consumed by the next step.
#[derive(Debug)]
pub struct Allowed<Op> {
    context: Context,
    operation: Op,
}

impl<Op> Allowed<Op> {
    pub(in crate::service) const fn context(&self) -> &Context {
        &self.context
    }

    pub(in crate::service) const fn operation(&self) -> &Op {
        &self.operation
    }

    pub(in crate::service) fn into_parts(self) -> (Context, Op) {
        (self.context, self.operation)
    }
}

impl Service {
    /// Whether the caller is the machine's own operator. A refusal is recorded.
    pub(in crate::service) fn local_only(
        &self,
        operation: &'static str,
        context: &Context,
        sentence: &'static str,
    ) -> Result<(), ServiceError> {
        if context.caller().is_some_and(Caller::is_local) {
            return Ok(());
        }
        Err(self.refuse(
            operation,
            context,
            AuditSubject::default(),
            ServiceError::new(ErrorCode::Forbidden, sentence),
        ))
    }

    /// Whose records the caller may read with this scope; none for everybody's. A refusal is recorded.
    pub(in crate::service) fn authorise_own(
        &self,
        operation: &'static str,
        context: &Context,
        asked: &AuditSubject,
        scope: Scope,
    ) -> Result<Option<Eoa>, ServiceError> {
        let verdict = match context.caller() {
            None => Err(ServiceError::from(Unauthenticated::Missing)),
            Some(caller) => decide_own(caller, scope).map_err(ServiceError::from),
        };
        verdict.map_err(|failure| self.refuse(operation, context, asked.clone(), failure))
    }

    /// Asks once more, after the wait for the record: a token that was revoked meanwhile uses no key.
    pub(in crate::service) fn still_recognised(&self, context: &Context) -> Result<(), ServiceError> {
        match context.caller().and_then(Caller::token_id) {
            Some(id) if !self.store.is_live(id, crate::service::now()) => {
                Err(Unauthenticated::Unknown.into())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Decides once more, with the version that was found and what its key allows now.
    pub(in crate::service) fn still_allowed<Op: Operation>(
        &self,
        allowed: &Allowed<Op>,
        version: &KeyVersion,
    ) -> Result<(), ServiceError> {
        let policy = self.store.policy(&version.eoa, &version.name);
        let found = AccessTarget { state: version.state(), policy: &policy };
        verdict(allowed.context(), allowed.operation(), Some(found))
    }

    /// Decides by caller and request alone, before anything is looked up, so that a refusal says nothing
    /// about which keys exist. The refusal is recorded.
    pub(in crate::service) fn authorise<Op: Operation>(
        &self,
        context: Context,
        operation: Op,
    ) -> Result<Allowed<Op>, ServiceError> {
        match verdict(&context, &operation, None) {
            Ok(()) => Ok(Allowed { context, operation }),
            Err(failure) => {
                let owner = operation.owner();
                let asked = operation
                    .key_name()
                    .map_or_else(|| AuditSubject::keys_of(owner), |name| AuditSubject::key(owner, name));
                Err(self.refuse(operation.name(), &context, asked, failure))
            }
        }
    }
}

fn verdict(
    context: &Context,
    operation: &impl Operation,
    found: Option<AccessTarget<'_>>,
) -> Result<(), ServiceError> {
    let caller = context.caller().ok_or(Unauthenticated::Missing)?;
    let ask = AccessRequest {
        scope: operation.scope(),
        irrevocable: operation.is_irrevocable(),
        proves: operation.is_proof(),
        owner: operation.owner(),
        name: operation.key_name(),
        from: context.address().map(|address| address.ip()),
    };
    Ok(decide(caller, &ask, found)?)
}

#[cfg(test)]
mod tests;
