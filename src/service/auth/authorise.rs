//! Authorisation of operations: from a request to one that its caller may make.

use crate::auth::{AccessRequest, AccessTarget, Caller, Unauthenticated, decide, decide_own};
use crate::clock::Clock;
use crate::key::{Eoa, KeyVersion};
use crate::service::context::Context;
use crate::service::error::ServiceError;
use crate::service::error_code::ErrorCode;
use crate::service::operation::{Access, Operation, OperationInfo};
use crate::service::recorder::Recorder;
use crate::service::subject::AuditSubject;
use crate::store::Store;

/// An operation that its caller may make. Made only by [`Authorizer`]; consumed by the next step.
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

/// Decides which caller may make which operation, and records refusals.
#[derive(Clone, Debug)]
pub(in crate::service) struct Authorizer {
    store: Store,
    recorder: Recorder,
    clock: Clock,
}

impl Authorizer {
    pub(in crate::service) const fn new(store: Store, recorder: Recorder, clock: Clock) -> Self {
        Self { store, recorder, clock }
    }

    /// Decides by caller and request alone, before anything is looked up: a refusal does not tell which keys exist.
    pub(in crate::service) fn authorise<Op: Operation>(
        &self,
        context: Context,
        operation: Op,
    ) -> Result<Allowed<Op>, ServiceError> {
        match verdict(&context, &operation, None) {
            Ok(()) => Ok(Allowed { context, operation }),
            Err(error) => {
                let subject = AuditSubject::of(&operation);
                Err(self.recorder.refuse(operation.info(), &context, subject, error))
            }
        }
    }

    /// Decides again, with the version that was found and what its key allows now.
    pub(in crate::service) fn recheck<Op: Operation>(
        &self,
        allowed: &Allowed<Op>,
        version: &KeyVersion,
    ) -> Result<(), ServiceError> {
        let policy = self.store.policy(&version.eoa, &version.name);
        let target = AccessTarget { state: version.state(), policy: &policy };
        verdict(allowed.context(), allowed.operation(), Some(target))
    }

    /// Checks the credential again after a wait: a revoked access token uses no key.
    pub(in crate::service) fn recheck_credential(&self, context: &Context) -> Result<(), ServiceError> {
        match context.caller().and_then(Caller::token_id) {
            Some(id) if !self.store.is_live(id, self.clock.latest()) => Err(Unauthenticated::Unknown.into()),
            Some(_) | None => Ok(()),
        }
    }

    /// The EOA whose records the caller may read; `None` for all of them.
    pub(in crate::service) fn own(
        &self,
        operation: &'static OperationInfo,
        context: &Context,
        subject: &AuditSubject,
    ) -> Result<Option<Eoa>, ServiceError> {
        let decided = match (context.caller(), operation.access) {
            (None, _) => Err(ServiceError::from(Unauthenticated::Missing)),
            (Some(caller), Access::Own(scope)) => decide_own(caller, scope).map_err(ServiceError::from),
            (Some(_), _) => Err(forbidden()),
        };
        decided.map_err(|error| self.recorder.refuse(operation, context, subject.clone(), error))
    }

    /// Refuses every caller but the administrator of this host.
    pub(in crate::service) fn local(
        &self,
        operation: &'static OperationInfo,
        context: &Context,
    ) -> Result<(), ServiceError> {
        let is_local = context.caller().is_some_and(Caller::is_local);
        if is_local && operation.access == Access::Local {
            return Ok(());
        }
        Err(self.recorder.refuse(operation, context, AuditSubject::default(), forbidden()))
    }
}

fn forbidden() -> ServiceError {
    ServiceError::new(
        ErrorCode::Forbidden,
        "only the administrator of the service's host may do this, with the avs-kms command line there",
    )
}

fn verdict(
    context: &Context,
    operation: &impl Operation,
    target: Option<AccessTarget<'_>>,
) -> Result<(), ServiceError> {
    let caller = context.caller().ok_or(Unauthenticated::Missing)?;
    let granted_by = operation.granted_by();
    let info = granted_by.unwrap_or(operation.info());
    // An operation without a scope is authorised by other rules, never by this one.
    let Access::Scope(scope) = info.access else { return Err(forbidden()) };
    let request = AccessRequest {
        scope,
        irrevocable: info.irrevocable,
        proves: granted_by.is_some(),
        owner: operation.owner(),
        name: operation.key_name(),
        from: context.address().map(|address| address.ip()),
    };
    Ok(decide(caller, &request, target)?)
}

#[cfg(test)]
mod tests;
