//! Reads of keys: `GET /v1/keys/{eoa}` and `GET /v1/keys/{eoa}/{name}`. Public data; recorded without a wait.

use std::sync::Arc;

use crate::key::{Eoa, KeyName, KeyState, KeyVersion, KeyVersionNumber};
use crate::service::auth::authorise::Authorizer;
use crate::service::context::Context;
use crate::service::error::ServiceError;
use crate::service::operation::{KEYS_LIST, KEYS_LIST_ALL, KEYS_SHOW, on_key, on_owner};
use crate::service::recorder::Recorder;
use crate::service::subject::AuditSubject;
use crate::store::{Store, VersionNotFound};

/// A request for a page of the keys of an EOA.
#[derive(Debug)]
pub struct ListKeys {
    /// Owner of the keys.
    pub eoa: Eoa,
    /// Only versions in this state.
    pub state: Option<KeyState>,
    /// Only what follows this version.
    pub after: Option<(KeyName, KeyVersionNumber)>,
    /// At most this many.
    pub most: usize,
}

on_owner!(ListKeys, KEYS_LIST);

/// A request for a page of the keys of every EOA.
#[derive(Debug)]
pub struct ListAllKeys {
    /// Only versions in this state.
    pub state: Option<KeyState>,
    /// Only what follows this version.
    pub after: Option<(Eoa, KeyName, KeyVersionNumber)>,
    /// At most this many.
    pub most: usize,
}

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

    /// Versions of the keys of the EOA: by name, newest version first.
    ///
    /// # Errors
    /// When the caller may not.
    pub fn list(&self, context: Context, request: ListKeys) -> Result<Vec<Arc<KeyVersion>>, ServiceError> {
        let (context, request) = self.authorizer.authorise(context, request)?.into_parts();
        let ListKeys { eoa, state, after, most } = request;
        self.recorder.note(&KEYS_LIST, &context, AuditSubject::keys_of(eoa), "ok");
        Ok(self.store.versions_after(Some(&eoa), most, |it| {
            let is_behind =
                |(name, version): &(KeyName, KeyVersionNumber)| (&it.name, *version) > (name, it.version);
            state.is_none_or(|state| it.state() == state) && after.as_ref().is_none_or(is_behind)
        }))
    }

    /// Versions of every key, for the administrator of this host: by EOA, name, newest version first.
    ///
    /// # Errors
    /// For every other caller.
    pub fn list_all(
        &self,
        context: &Context,
        request: &ListAllKeys,
    ) -> Result<Vec<Arc<KeyVersion>>, ServiceError> {
        self.authorizer.local(&KEYS_LIST_ALL, context)?;
        let ListAllKeys { state, after, most } = request;
        // The pages of one list are one reading.
        if after.is_none() {
            self.recorder.note(&KEYS_LIST_ALL, context, AuditSubject::default(), "ok");
        }
        Ok(self.store.versions_after(None, *most, |it| {
            let is_behind = |(eoa, name, version): &(Eoa, KeyName, KeyVersionNumber)| {
                (it.eoa, &it.name, *version) > (*eoa, name, it.version)
            };
            state.is_none_or(|state| it.state() == state) && after.as_ref().is_none_or(is_behind)
        }))
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
