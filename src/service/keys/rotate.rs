//! Rotation: `POST /v1/keys/rotate` makes the next version of a key, pending until it is activated.

use std::time::Instant;

use super::admin::KeyAdmin;
use super::create::{Created, bound_elsewhere};
use super::freeze::check_not_frozen;
use super::new_version::ReservedVersion;
use crate::key::{Binding, Eoa, KeyName, KeyVersionNumber, VersionSelector};
use crate::service::context::Context;
use crate::service::error::ServiceError;
use crate::service::error_code::ErrorCode;
use crate::service::operation::{KEYS_ROTATE, on_key};
use crate::service::subject::AuditSubject;

/// A request to make the next version.
#[derive(Debug)]
pub struct RotateKey {
    /// Owner of the key.
    pub eoa: Eoa,
    /// Name of the key.
    pub name: KeyName,
    /// Number of the next version: a repetition that names it makes no second one.
    pub version: Option<KeyVersionNumber>,
    /// Registry of the next version; `None` takes that of the current one.
    pub binding: Option<Binding>,
    /// Reason, for the audit log.
    pub reason: Option<String>,
}

on_key!(RotateKey, KEYS_ROTATE);

impl KeyAdmin {
    /// Makes the next version, or returns the pending one.
    ///
    /// # Errors
    /// Every refusal and failure, recorded.
    pub async fn rotate(
        &self,
        context: Context,
        request: RotateKey,
        deadline: Instant,
    ) -> Result<Created, ServiceError> {
        let (context, request) = self.authorizer.authorise(context, request)?.into_parts();
        let RotateKey { eoa, name, version, binding, reason } = request;
        let refuse =
            |error| self.recorder.refuse(&KEYS_ROTATE, &context, AuditSubject::key(eoa, &name), error);
        let _turn = self.changes.acquire(deadline).await.map_err(refuse)?;
        let current = self.store.version(&eoa, &name, VersionSelector::Current);
        let current = current.map_err(|missing| refuse(missing.into()))?;
        let existing = match version {
            Some(number) => self.store.version_by_number(&eoa, &name, number),
            None => self.store.version(&eoa, &name, VersionSelector::Next).ok(),
        };
        if let Some(version) = existing {
            if binding.is_some() && binding != version.binding {
                return Err(refuse(bound_elsewhere(&version)));
            }
            self.recorder.note(&KEYS_ROTATE, &context, AuditSubject::version(&version), "ok");
            return Ok(Created { version, created: false });
        }
        check_not_frozen(&self.store).map_err(refuse)?;
        let next = self.next_version(&eoa, &name, version).map_err(refuse)?;
        let versions = self.store.versions_of_key(&eoa, &name);
        self.quotas.check_new_version(&context, &versions).map_err(refuse)?;
        let binding = binding.or(current.binding);
        let reservation = self.reserve(eoa, &name, next, binding).await.map_err(refuse)?;
        let reserved =
            ReservedVersion { context, operation: &KEYS_ROTATE, reservation, policy: None, reason };
        let version = self.create_version(reserved, deadline).await?;
        Ok(Created { version, created: true })
    }

    /// The number of the next version, if it may be made now and is the one that the caller names.
    fn next_version(
        &self,
        eoa: &Eoa,
        name: &KeyName,
        named: Option<KeyVersionNumber>,
    ) -> Result<KeyVersionNumber, ServiceError> {
        let exhausted =
            || ServiceError::new(ErrorCode::InvalidKeyState, "no version number of this key is left");
        let (next, _) = self.store.lifecycle(eoa, name).next().ok_or_else(exhausted)?;
        if named.is_some_and(|named| named != next) {
            let message = format!("the next version of this key is {next}");
            return Err(ServiceError::new(ErrorCode::VersionNotFound, message).field("version"));
        }
        if let Ok(pending) = self.store.version(eoa, name, VersionSelector::Next) {
            let message = format!("version {} is pending: activate or destroy it first", pending.version);
            return Err(ServiceError::new(ErrorCode::InvalidKeyState, message).field("version"));
        }
        Ok(next)
    }
}
