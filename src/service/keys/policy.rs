//! Policies of keys: read by all calls, set on the service's host.

use std::sync::Arc;

use audit_log::Value;
use tokio::sync::Mutex;

use crate::auth::{Policy, PolicyChange};
use crate::key::{Eoa, KeyName};
use crate::service::auth::authorise::Authorizer;
use crate::service::context::Context;
use crate::service::error::ServiceError;
use crate::service::operation::KEYS_SET_POLICY;
use crate::service::recorder::{RecordedChange, Recorder};
use crate::service::subject::AuditSubject;
use crate::store::{Store, VersionNotFound};

/// A request to change a policy.
#[derive(Debug)]
pub struct SetPolicy {
    /// Owner of the key.
    pub eoa: Eoa,
    /// Name of the key.
    pub name: KeyName,
    /// What the key allows from now on, as far as it changes.
    pub change: PolicyChange,
}

/// Policies of keys.
#[derive(Clone, Debug)]
pub struct Policies {
    authorizer: Authorizer,
    recorder: Recorder,
    store: Store,
    /// One change at a time: each begins with what the one before left.
    changing: Arc<Mutex<()>>,
}

impl Policies {
    pub(in crate::service) fn new((authorizer, recorder): (Authorizer, Recorder), store: Store) -> Self {
        Self { authorizer, recorder, store, changing: Arc::default() }
    }

    /// What a key allows.
    pub fn get(&self, owner: &Eoa, name: &KeyName) -> Arc<Policy> {
        self.store.policy(owner, name)
    }

    /// Changes what a key allows, from the next request on; gives the whole policy.
    ///
    /// # Errors
    /// When the caller is not the administrator of this host, there is no such key, or a write fails.
    pub async fn set(&self, context: Context, request: SetPolicy) -> Result<Policy, ServiceError> {
        let SetPolicy { eoa, name, change } = request;
        self.authorizer.local(&KEYS_SET_POLICY, &context)?;
        if self.store.versions_of_key(&eoa, &name).is_empty() {
            let subject = AuditSubject::key(eoa, &name);
            let error = VersionNotFound::Key.into();
            return Err(self.recorder.refuse(&KEYS_SET_POLICY, &context, subject, error));
        }
        let _changing = self.changing.lock().await;
        let policy = change.of(&self.store.policy(&eoa, &name));
        let mut facts = vec![("eoa", Value::Text(eoa.to_string())), ("name", Value::Text(name.to_string()))];
        facts.extend(facts_of(&policy));
        let change = RecordedChange { operation: &KEYS_SET_POLICY, context, actor: None, facts };
        self.recorder.change(change, self.store.set_policy(eoa, name, policy.clone())).await?;
        Ok(policy)
    }
}

/// A policy as the audit log records it.
pub(super) fn facts_of(policy: &Policy) -> Vec<(&'static str, Value)> {
    let mut facts = vec![
        ("signing", Value::Text(policy.signing.to_string())),
        ("networks", Value::Text(policy.networks.to_string())),
    ];
    facts.extend(policy.per_minute.map(|number| ("per_minute", Value::Number(number.get().into()))));
    facts
}
