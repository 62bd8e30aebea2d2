//! `POST /v1/keys`: get or create the key of a name.

use std::sync::Arc;
use std::time::Instant;

use crate::auth::{Policy, Scope};
use crate::key::KeyVersion;
use crate::key::{Binding, Eoa, KeyName, KeyVersionNumber, LifecycleState};
use crate::service::auth::authorise::Operation;
use crate::service::keys::new_version::Planned;
use crate::service::{AuditSubject, Context, ErrorCode, Service, ServiceError};

/// What the caller asks for.
#[derive(Debug)]
pub struct CreateKey {
    /// The owner.
    pub eoa: Eoa,
    /// The name.
    pub name: KeyName,
    /// What the key shall allow; none given means everything, or what holds already.
    pub policy: Option<Policy>,
    /// Where the key will be registered, if that is known.
    pub binding: Option<Binding>,
}

impl CreateKey {
    /// Its name in the audit log.
    pub const NAME: &'static str = "keys.create";
}

impl Operation for CreateKey {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn scope(&self) -> Scope {
        Scope::KeysCreate
    }

    fn owner(&self) -> Eoa {
        self.eoa
    }

    fn key_name(&self) -> Option<&KeyName> {
        Some(&self.name)
    }
}

/// The key, and whether this call made it.
#[derive(Debug)]
pub struct Created {
    /// The current version.
    pub version: Arc<KeyVersion>,
    /// `false` if it was there already.
    pub created: bool,
}

impl Service {
    /// Gets the key or makes it.
    ///
    /// # Errors
    /// Every refusal and failure, recorded.
    pub async fn create_key(
        &self,
        context: Context,
        request: CreateKey,
        deadline: Instant,
    ) -> Result<Created, ServiceError> {
        let (context, CreateKey { eoa, name, binding, policy }) =
            self.authorise(context, request)?.into_parts();
        let refused =
            |failure| self.refuse(CreateKey::NAME, &context, AuditSubject::key(eoa, &name), failure);
        let _one_at_a_time = self.one_at_a_time(deadline).await.map_err(refused)?;
        if let Some(version) = self.existing(&eoa, &name) {
            if binding.is_some() && binding != version.binding {
                return Err(refused(bound_elsewhere(&version)));
            }
            if policy.is_some_and(|policy| policy != *self.store.policy(&eoa, &name)) {
                let sentence = "the key is there with another policy, which is changed on the service's own \
                                machine: avs-kms keys policy";
                return Err(refused(ServiceError::new(ErrorCode::InvalidKeyState, sentence).field("policy")));
            }
            self.note(CreateKey::NAME, &context, AuditSubject::version(&version), "ok");
            return Ok(Created { version, created: false });
        }
        let reservation = self.plan(eoa, &name, KeyVersionNumber::FIRST, binding).map_err(refused)?;
        let policy = Some(policy.unwrap_or_default());
        let planned = Planned { context, operation: CreateKey::NAME, reservation, policy, reason: None };
        let version = self.make_version(planned, deadline).await?;
        Ok(Created { version, created: true })
    }

    /// The version that a key is known by: the current one.
    fn existing(&self, eoa: &Eoa, name: &KeyName) -> Option<Arc<KeyVersion>> {
        let versions = self.store.versions_of_key(eoa, name);
        let active = versions.iter().find(|version| version.status.lifecycle == LifecycleState::Active);
        active.or_else(|| versions.first()).map(Arc::clone)
    }
}

/// A version is bound once, for ever: so does the chain.
pub(in crate::service) fn bound_elsewhere(version: &KeyVersion) -> ServiceError {
    let sentence = match &version.binding {
        Some(binding) => format!(
            "this version is bound to {binding}, and a chain takes a key once; make the next version for another place with POST /v1/keys/rotate"
        ),
        None => "this version was made without a binding; the next one can have one: POST /v1/keys/rotate"
            .to_owned(),
    };
    ServiceError::new(ErrorCode::InvalidKeyState, sentence).field("binding")
}
