//! `POST /v1/keys/rotate`: make the next version of a key, pending. It signs when asked for as `next` or by number.

use std::sync::Arc;
use std::time::Instant;

use crate::auth::Scope;
use crate::key::{Binding, Eoa, KeyName, KeyVersionNumber, VersionSelector};
use crate::service::auth::authorise::Operation;
use crate::service::keys::create::bound_elsewhere;
use crate::service::keys::new_version::Planned;
use crate::service::{AuditSubject, Context, Created, ErrorCode, Service, ServiceError};
use crate::store::VersionNotFound;

/// What the caller asks for.
#[derive(Debug)]
pub struct RotateKey {
    /// The owner.
    pub eoa: Eoa,
    /// The name.
    pub name: KeyName,
    /// The number that the next version is to have: a repetition with it makes no second one.
    pub version: Option<KeyVersionNumber>,
    /// Where it will be registered; as the current one, where nothing is said.
    pub binding: Option<Binding>,
    /// Why, for the audit log.
    pub reason: Option<String>,
}

impl RotateKey {
    /// Its name in the audit log.
    pub const NAME: &'static str = "keys.rotate";
}

impl Operation for RotateKey {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn scope(&self) -> Scope {
        Scope::KeysRotate
    }

    fn owner(&self) -> Eoa {
        self.eoa
    }

    fn key_name(&self) -> Option<&KeyName> {
        Some(&self.name)
    }
}

impl Service {
    /// Makes the next version, or gives the pending one that is there.
    ///
    /// # Errors
    /// Every refusal and failure, recorded.
    pub async fn rotate_key(
        &self,
        context: Context,
        request: RotateKey,
        deadline: Instant,
    ) -> Result<Created, ServiceError> {
        let (context, wish) = self.authorise(context, request)?.into_parts();
        let RotateKey { eoa, name, version, binding, reason } = wish;
        let refused =
            |failure| self.refuse(RotateKey::NAME, &context, AuditSubject::key(eoa, &name), failure);
        let _one_at_a_time = self.one_at_a_time(deadline).await.map_err(refused)?;
        let current = self.store.version(&eoa, &name, VersionSelector::Current);
        let current = current.map_err(|missing| refused(missing.into()))?;
        let there = match version {
            Some(number) => self.store.numbered(&eoa, &name, number),
            None => self.store.version(&eoa, &name, VersionSelector::Next).ok(),
        };
        if let Some(version) = there {
            if binding.is_some() && binding != version.binding {
                return Err(refused(bound_elsewhere(&version)));
            }
            self.note(RotateKey::NAME, &context, AuditSubject::version(&version), "ok");
            return Ok(Created { version, created: false });
        }
        let (next, _) = self.store.lifecycle(&eoa, &name).next().ok_or_else(|| {
            refused(ServiceError::new(
                ErrorCode::InvalidKeyState,
                "the key has as many versions as there are numbers",
            ))
        })?;
        if version.is_some_and(|wanted| wanted != next) {
            let sentence = format!("the next version of this key is {next}");
            return Err(refused(ServiceError::new(ErrorCode::VersionNotFound, sentence).field("version")));
        }
        if let Ok(pending) = self.store.version(&eoa, &name, VersionSelector::Next) {
            let sentence =
                format!("version {} is still pending: activate or destroy it first", pending.version);
            return Err(refused(ServiceError::new(ErrorCode::InvalidKeyState, sentence).field("version")));
        }
        let binding = binding.or(current.binding);
        let reservation = self.plan(eoa, &name, next, binding).map_err(refused)?;
        let planned = Planned { context, operation: RotateKey::NAME, reservation, policy: None, reason };
        let version = self.make_version(planned, deadline).await?;
        Ok(Created { version: Arc::clone(&version), created: true })
    }
}

impl From<crate::key::TransitionError> for ServiceError {
    fn from(refusal: crate::key::TransitionError) -> Self {
        use crate::key::TransitionError;
        let code = match refusal {
            TransitionError::Destroyed => ErrorCode::KeyDestroyed,
            TransitionError::Disabled => ErrorCode::KeyDisabled,
            TransitionError::Retired => ErrorCode::KeyRetired,
            TransitionError::Unknown => return VersionNotFound::Version.into(),
            TransitionError::Current
            | TransitionError::Superseded
            | TransitionError::Pending
            | TransitionError::Scheduled
            | TransitionError::Unscheduled => ErrorCode::InvalidKeyState,
        };
        Self::new(code, refusal.to_string())
    }
}
