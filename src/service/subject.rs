//! Subject of an audit record: the key or the owner that a request names.

use audit_log::{Input, KeyRef, Value};

use super::operation::Operation;
use crate::eigenlayer;
use crate::key::{Eoa, KeyName, KeyVersion};

/// What an audit record says of its subject when nothing was looked up.
#[derive(Clone, Debug, Default)]
pub struct AuditSubject {
    pub(in crate::service) key: Option<KeyRef>,
    pub(in crate::service) input: Option<Input>,
}

impl AuditSubject {
    pub(in crate::service) fn of(operation: &impl Operation) -> Self {
        let owner = operation.owner();
        operation.key_name().map_or_else(|| Self::keys_of(owner), |name| Self::key(owner, name))
    }

    pub(in crate::service) fn key(owner: Eoa, name: &KeyName) -> Self {
        Self { key: Some(key_ref(owner, name)), input: None }
    }

    pub(in crate::service) fn keys_of(owner: Eoa) -> Self {
        Self::fields(vec![("eoa", Value::Text(owner.to_string()))])
    }

    pub(in crate::service) fn version(version: &KeyVersion) -> Self {
        Self { key: Some(version_ref(version)), input: None }
    }

    pub(in crate::service) fn fields(fields: Vec<(&'static str, Value)>) -> Self {
        Self { key: None, input: Some(Input::Fields(fields)) }
    }
}

/// A key as the audit log names it.
pub(in crate::service) fn key_ref(owner: Eoa, name: &KeyName) -> KeyRef {
    let (eoa, name) = (owner.to_string(), name.to_string());
    KeyRef { eoa, name, version: None, id: None, public_key_hash: None }
}

/// A version as the audit log names it.
pub(in crate::service) fn version_ref(version: &KeyVersion) -> KeyRef {
    KeyRef {
        version: Some(version.version.number()),
        id: Some(version.id.to_string()),
        public_key_hash: Some(eigenlayer::operator_id(&version.public_key.g1)),
        ..key_ref(version.eoa, &version.name)
    }
}
