//! A destruction whose date has come, ready to be recorded.

use std::sync::Arc;

use audit_log::{Input, Intent, Recordable, Value};
use hsm::KeyId;

use crate::key::{KeyState, KeyVersion};
use crate::service::context::Context;
use crate::service::operation::KEYS_DESTROY_DUE;
use crate::service::subject::version_ref;

/// A destruction that can be recorded and carried out.
pub(in crate::service) struct Destruction {
    pub(super) context: Context,
    pub(super) version: Arc<KeyVersion>,
    pub(super) reason: String,
}

impl Recordable for Destruction {
    fn intent(&self) -> Intent {
        let from = self.version.state().as_str().to_owned();
        Intent {
            operation: KEYS_DESTROY_DUE.name,
            actor: self.context.actor(),
            request: self.context.request().to_string(),
            key: Some(version_ref(&self.version)),
            input: Some(Input::Fields(vec![
                ("from", Value::Text(from)),
                ("to", Value::Text(KeyState::Destroyed.as_str().to_owned())),
                ("reason", Value::Text(self.reason.clone())),
            ])),
        }
    }
}

impl Destruction {
    pub(in crate::service) fn id(&self) -> KeyId {
        self.version.id
    }
}
