//! What a key allows: read and set on the service's own machine.

use std::sync::Arc;

use crate::auth::Policy;
use crate::key::{Eoa, KeyName};
use crate::service::{AuditSubject, Context, ErrorCode, Service, ServiceError};
use audit_log::Value;

/// A policy to be set.
#[derive(Debug)]
pub struct SetPolicy {
    /// The owner.
    pub eoa: Eoa,
    /// The key.
    pub name: KeyName,
    /// What it shall allow.
    pub policy: Policy,
}

const SET: &str = "keys.set_policy";

/// What the audit log says of a policy.
pub(in crate::service) fn facts_of(policy: &Policy) -> Vec<(&'static str, Value)> {
    let mut facts = vec![
        ("signing", Value::Text(policy.signing.to_string())),
        ("networks", Value::Text(policy.networks.to_string())),
    ];
    facts.extend(policy.per_minute.map(|number| ("per_minute", Value::Number(number.get().into()))));
    facts
}

impl Service {
    /// What a key allows.
    pub fn policy(&self, eoa: &Eoa, name: &KeyName) -> Arc<Policy> {
        self.store.policy(eoa, name)
    }

    /// Sets what a key allows, from the next request on.
    ///
    /// # Errors
    /// When the caller is not the machine's own operator, there is no such key, or nothing can be written.
    pub async fn set_policy(&self, context: Context, wish: SetPolicy) -> Result<(), ServiceError> {
        let SetPolicy { eoa, name, policy } = wish;
        self.local_only(SET, &context, "policies are set on the service's own machine")?;
        if self.store.versions_of_key(&eoa, &name).is_empty() {
            let failure = ServiceError::new(ErrorCode::KeyNotFound, "this EOA has no key of this name");
            return Err(self.refuse(SET, &context, AuditSubject::key(eoa, &name), failure));
        }
        let mut facts = vec![("eoa", Value::Text(eoa.to_string())), ("name", Value::Text(name.to_string()))];
        facts.extend(facts_of(&policy));
        self.change(context, SET, facts, move |store| store.set_policy(eoa, name, policy)).await
    }
}
