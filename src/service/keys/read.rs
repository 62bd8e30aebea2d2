//! `GET /v1/keys/{eoa}` and `GET /v1/keys/{eoa}/{name}`: public data, recorded, never waited for.

use std::sync::Arc;

use crate::auth::Scope;
use crate::key::KeyVersion;
use crate::key::{Eoa, KeyName};
use crate::service::auth::authorise::Operation;
use crate::service::{AuditSubject, Context, Service, ServiceError};
use crate::store::VersionNotFound;

/// Every key of an EOA.
#[derive(Debug)]
pub struct ListKeys {
    /// The owner.
    pub eoa: Eoa,
}

impl ListKeys {
    /// Its name in the audit log.
    pub const NAME: &'static str = "keys.list";
}

impl Operation for ListKeys {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn scope(&self) -> Scope {
        Scope::KeysRead
    }

    fn owner(&self) -> Eoa {
        self.eoa
    }

    fn key_name(&self) -> Option<&KeyName> {
        None
    }
}

/// One key with all its versions.
#[derive(Debug)]
pub struct ShowKey {
    /// The owner.
    pub eoa: Eoa,
    /// The name.
    pub name: KeyName,
}

impl ShowKey {
    /// Its name in the audit log.
    pub const NAME: &'static str = "keys.show";
}

impl Operation for ShowKey {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn scope(&self) -> Scope {
        Scope::KeysRead
    }

    fn owner(&self) -> Eoa {
        self.eoa
    }

    fn key_name(&self) -> Option<&KeyName> {
        Some(&self.name)
    }
}

impl Service {
    /// Every version of every key of the EOA: by name, newest version first.
    ///
    /// # Errors
    /// When the caller may not.
    pub fn list_keys(
        &self,
        context: Context,
        request: ListKeys,
    ) -> Result<Vec<Arc<KeyVersion>>, ServiceError> {
        let allowed = self.authorise(context, request)?;
        let eoa = allowed.operation().eoa;
        self.note(ListKeys::NAME, allowed.context(), AuditSubject::keys_of(eoa), "ok");
        Ok(self.store.versions_of_eoa(&eoa))
    }

    /// Every version of every key of everybody, for the machine's own operator: by EOA, name, newest first.
    ///
    /// # Errors
    /// When the caller is somebody else.
    pub fn list_all_keys(&self, context: &Context) -> Result<Vec<Arc<KeyVersion>>, ServiceError> {
        self.local_only("keys.list_all", context, "all keys are listed on the service's own machine")?;
        self.note("keys.list_all", context, AuditSubject::default(), "ok");
        let mut versions = self.store.all_versions();
        versions.sort_by(|a, b| (a.eoa, &a.name, b.version).cmp(&(b.eoa, &b.name, a.version)));
        Ok(versions)
    }

    /// Every version of one key, newest first; never empty.
    ///
    /// # Errors
    /// When the caller may not, or there is no such key.
    pub fn show_key(&self, context: Context, request: ShowKey) -> Result<Vec<Arc<KeyVersion>>, ServiceError> {
        let (context, ShowKey { eoa, name }) = self.authorise(context, request)?.into_parts();
        let versions = self.store.versions_of_key(&eoa, &name);
        match versions.first() {
            Some(newest) => self.note(ShowKey::NAME, &context, AuditSubject::version(newest), "ok"),
            None => {
                let asked = AuditSubject::key(eoa, &name);
                return Err(self.refuse(ShowKey::NAME, &context, asked, VersionNotFound::Key.into()));
            }
        }
        Ok(versions)
    }
}
