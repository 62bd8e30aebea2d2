//! Reads of keys: `GET /v1/keys/{eoa}` and `GET /v1/keys/{eoa}/{name}`. Public data; recorded without a wait.

use std::sync::Arc;

use crate::key::{Eoa, KeyName, KeyVersion};
use crate::service::auth::authorise::Authorizer;
use crate::service::context::Context;
use crate::service::error::ServiceError;
use crate::service::operation::{KEYS_LIST, KEYS_LIST_ALL, KEYS_SHOW, on_key, on_owner};
use crate::service::recorder::Recorder;
use crate::service::subject::AuditSubject;
use crate::store::{Store, VersionNotFound};

/// A request for every key of an EOA.
#[derive(Debug)]
pub struct ListKeys {
    /// Owner of the keys.
    pub eoa: Eoa,
}

on_owner!(ListKeys, KEYS_LIST);

/// A request for one key with its versions.
#[derive(Debug)]
pub struct ShowKey {
    /// Owner of the key.
    pub eoa: Eoa,
    /// Name of the key.
    pub name: KeyName,
}

on_key!(ShowKey, KEYS_SHOW);

/// Reads of keys.
#[derive(Clone, Debug)]
pub struct KeyReads {
    authorizer: Authorizer,
    recorder: Recorder,
    store: Store,
}

impl KeyReads {
    pub(in crate::service) fn new((authorizer, recorder): (Authorizer, Recorder), store: Store) -> Self {
        Self { authorizer, recorder, store }
    }

    /// Every version of every key of the EOA: by name, newest version first.
    ///
    /// # Errors
    /// When the caller may not.
    pub fn list(&self, context: Context, request: ListKeys) -> Result<Vec<Arc<KeyVersion>>, ServiceError> {
        let (context, ListKeys { eoa }) = self.authorizer.authorise(context, request)?.into_parts();
        self.recorder.note(&KEYS_LIST, &context, AuditSubject::keys_of(eoa), "ok");
        Ok(self.store.versions_of_eoa(&eoa))
    }

    /// Every version of every key, for the administrator of this host: by EOA, name, newest version first.
    ///
    /// # Errors
    /// For every other caller.
    pub fn list_all(&self, context: &Context) -> Result<Vec<Arc<KeyVersion>>, ServiceError> {
        self.authorizer.local(&KEYS_LIST_ALL, context)?;
        self.recorder.note(&KEYS_LIST_ALL, context, AuditSubject::default(), "ok");
        let mut versions = self.store.all_versions();
        versions.sort_by(|a, b| (a.eoa, &a.name, b.version).cmp(&(b.eoa, &b.name, a.version)));
        Ok(versions)
    }

    /// Every version of one key, newest first; never empty.
    ///
    /// # Errors
    /// When the caller may not, or there is no such key.
    pub fn show(&self, context: Context, request: ShowKey) -> Result<Vec<Arc<KeyVersion>>, ServiceError> {
        let (context, request) = self.authorizer.authorise(context, request)?.into_parts();
        let versions = self.store.versions_of_key(&request.eoa, &request.name);
        let Some(newest) = versions.first() else {
            let subject = AuditSubject::of(&request);
            return Err(self.recorder.refuse(&KEYS_SHOW, &context, subject, VersionNotFound::Key.into()));
        };
        self.recorder.note(&KEYS_SHOW, &context, AuditSubject::version(newest), "ok");
        Ok(versions)
    }
}
