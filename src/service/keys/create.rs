//! Creation of a key: `POST /v1/keys` gets or creates the key of a name.

use std::sync::Arc;
use std::time::Instant;

use super::admin::KeyAdmin;
use super::freeze::check_not_frozen;
use super::new_version::ReservedVersion;
use crate::auth::Policy;
use crate::key::{Binding, Eoa, KeyName, KeyVersion, KeyVersionNumber, LifecycleState};
use crate::service::context::Context;
use crate::service::error::ServiceError;
use crate::service::error_code::ErrorCode;
use crate::service::operation::{KEYS_CREATE, on_key};
use crate::service::subject::AuditSubject;

/// A request to create a key.
#[derive(Debug)]
pub struct CreateKey {
    /// Owner of the key.
    pub eoa: Eoa,
    /// Name of the key.
    pub name: KeyName,
    /// What the key allows; `None` allows everything, or keeps the policy of an existing key.
    pub policy: Option<Policy>,
    /// Registry with which the key will be registered, if it is known.
    pub binding: Option<Binding>,
}

on_key!(CreateKey, KEYS_CREATE);

/// A version, and whether this call created it.
#[derive(Debug)]
pub struct Created {
    /// The version.
    pub version: Arc<KeyVersion>,
    /// `false` if it existed already.
    pub created: bool,
}

impl KeyAdmin {
    /// Gets the key or creates it.
    ///
    /// # Errors
    /// Every refusal and failure, recorded.
    pub async fn create(
        &self,
        context: Context,
        request: CreateKey,
        deadline: Instant,
    ) -> Result<Created, ServiceError> {
        let (context, CreateKey { eoa, name, binding, policy }) =
            self.authorizer.authorise(context, request)?.into_parts();
        let refuse =
            |error| self.recorder.refuse(&KEYS_CREATE, &context, AuditSubject::key(eoa, &name), error);
        let _turn = self.changes.acquire(deadline).await.map_err(refuse)?;
        if let Some(version) = self.existing(&eoa, &name) {
            if binding.is_some() && binding != version.binding {
                return Err(refuse(bound_elsewhere(&version)));
            }
            if policy.is_some_and(|policy| policy != *self.store.policy(&eoa, &name)) {
                let message = "the key exists with another policy; change it on the service's host: \
                               avs-kms keys policy set";
                return Err(refuse(ServiceError::new(ErrorCode::InvalidKeyState, message).field("policy")));
            }
            self.recorder.note(&KEYS_CREATE, &context, AuditSubject::version(&version), "ok");
            return Ok(Created { version, created: false });
        }
        check_not_frozen(&self.store).map_err(refuse)?;
        let reservations =
            self.store.reservations().await.map_err(|error| refuse(ServiceError::internal(error)))?;
        self.quotas.check_new_key(&context, &self.store, (&eoa, &name), &reservations).map_err(refuse)?;
        let reservation = self.reserve(eoa, &name, KeyVersionNumber::FIRST, binding).await.map_err(refuse)?;
        let policy = Some(policy.unwrap_or_default());
        let reserved =
            ReservedVersion { context, operation: &KEYS_CREATE, reservation, policy, reason: None };
        let version = self.create_version(reserved, deadline).await?;
        Ok(Created { version, created: true })
    }

    /// The version that stands for an existing key: the current one.
    fn existing(&self, owner: &Eoa, name: &KeyName) -> Option<Arc<KeyVersion>> {
        let versions = self.store.versions_of_key(owner, name);
        let active = versions.iter().find(|version| version.status.lifecycle == LifecycleState::Active);
        active.or_else(|| versions.first()).map(Arc::clone)
    }
}

/// A version keeps its binding: a registry accepts a key once.
pub(super) fn bound_elsewhere(version: &KeyVersion) -> ServiceError {
    let message = match &version.binding {
        Some(binding) => format!(
            "this version is bound to {binding}, and a registry accepts a key once; make the next version for \
             another registry with POST /v1/keys/rotate"
        ),
        None => "this version has no binding; the next one can have one: POST /v1/keys/rotate".to_owned(),
    };
    ServiceError::new(ErrorCode::InvalidKeyState, message).field("binding")
}
