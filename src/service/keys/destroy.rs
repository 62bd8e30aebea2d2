//! The destruction of a version at its date: the one thing that cannot be taken back.
//!
//! Durable steps, in order: intent · destroyed in the store, so that nothing uses it any more · the record gone from
//! the token, which proves by its canary that it was asked in health · confirmed in the store, with the event ·
//! outcome. A process that dies after the second goes on at the next start.

use std::sync::Arc;
use std::time::Instant;

use hsm::KeyId;

use crate::key::KeyVersion;
use crate::key::{KeyState, LifecycleAction};
use crate::service::keys::new_version::fail_intent;
use crate::service::{ChangeKey, Context, Service, ServiceError, version_ref};
use crate::store::LifecycleUpdate;
use audit_log::{Input, Intent, Outcome, Recordable, Value};

/// A destruction that can be recorded and carried out.
pub(in crate::service) struct Destruction {
    context: Context,
    version: Arc<KeyVersion>,
    reason: String,
}

impl Recordable for Destruction {
    fn intent(&self) -> Intent {
        let from = self.version.state().as_str().to_owned();
        Intent {
            operation: ChangeKey::operation(LifecycleAction::Destroy),
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

impl Service {
    /// Destroys a version whose date has come, or goes on with a destruction that was begun.
    ///
    /// # Errors
    /// When its date has not come, or store, token or log refuse; then it is tried again.
    pub async fn destroy_version(
        &self,
        context: Context,
        version: &KeyVersion,
        deadline: Instant,
    ) -> Result<Arc<KeyVersion>, ServiceError> {
        let _one_at_a_time = self.one_at_a_time(deadline).await?;
        let (eoa, name) = (version.eoa, version.name.clone());
        // As it is now: it may have been restored since the plan was made.
        let Some(version) = self.store.by_id(version.id) else {
            return Err(ServiceError::internal("no such version"));
        };
        let transitions =
            self.store.lifecycle(&eoa, &name).transitions(version.version, LifecycleAction::Destroy)?;
        let now = self.now();
        let date = version.times.destroy;
        if !transitions.is_empty() && date.is_none_or(|date| now < date) {
            return Err(ServiceError::internal("the date of this destruction has not come"));
        }
        let date = date.map(|date| date.to_string()).unwrap_or_default();
        let reason = format!("scheduled for {date}");
        let destruction = Destruction { context, version: Arc::clone(&version), reason: reason.clone() };
        let recorded = self.audit.record(destruction).await;
        let recorded = recorded.map_err(|refused| ServiceError::from(refused.error).recorded())?;
        if !transitions.is_empty() {
            let intent = recorded.receipt().seq;
            let transition = LifecycleUpdate {
                eoa,
                name,
                transitions,
                intent,
                at: now,
                destroy_at: None,
                reason: Some(reason),
            };
            if let Err(failure) = self.in_store(move |store| store.apply(&transition)).await {
                let (_, guard) = recorded.consume();
                return Err(fail_intent(guard, failure).await);
            }
        }
        let begun = Instant::now();
        let (result, guard) = self.custody.destroy(recorded, deadline).await;
        let micros = begun.elapsed().as_micros().try_into().unwrap_or(u64::MAX);
        let confirmed = match result {
            Ok(()) => self.in_store(move |store| store.confirm_destroyed(&version, now)).await,
            Err(error) => Err(error.into()),
        };
        match confirmed {
            Ok(version) => {
                let detail = Some("the token holds no record of this version any more".to_owned());
                let outcome = Outcome { detail, ..Outcome::ok(micros) };
                guard
                    .record_outcome_durable(outcome)
                    .await
                    .map_err(|error| ServiceError::from(error).recorded())?;
                Ok(version)
            }
            Err(failure) => Err(fail_intent(guard, failure).await),
        }
    }
}
