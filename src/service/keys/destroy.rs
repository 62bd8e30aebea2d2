//! Destruction of a version at its date: the one change that cannot be undone.
//!
//! Durable transitions, in order: intent · destroyed in the store, so that no request uses it · record deleted in the token,
//! which proves its health by the canary first · confirmed in the store, with the event · outcome. After a crash
//! behind the second step the next start continues. Before all of it: the record that the version's row names must have
//! asked for it.

use std::sync::Arc;
use std::time::Instant;

use audit_log::{FoundRecord, Outcome, Recorded, leaf_hash};

use super::admin::KeyAdmin;
use super::destruction::Destruction;
use super::take_away::intent_ref;
use crate::key::{KeyVersion, LifecycleAction, Transition};
use crate::service::context::Context;
use crate::service::error::ServiceError;
use crate::service::operation::KEYS_DESTROY;
use crate::service::recorder::{complete, fail};
use crate::store::LifecycleUpdate;

impl KeyAdmin {
    /// Destroys a version whose date has come, or continues a destruction.
    ///
    /// # Errors
    /// When its date has not come, or store, token or log fail; the scheduler tries again.
    pub async fn destroy_due(
        &self,
        context: Context,
        version: &KeyVersion,
        deadline: Instant,
    ) -> Result<Arc<KeyVersion>, ServiceError> {
        let _turn = self.changes.acquire(deadline).await?;
        let states = self.changes.acquire_states(deadline).await?;
        // The version as it is now: it may have been restored since it was due.
        let found = self.store.version_by_id(version.id);
        let version = found.ok_or_else(|| ServiceError::internal("no such version"))?;
        let life = self.store.lifecycle(&version.eoa, &version.name);
        let transitions = life.transitions(version.version, LifecycleAction::Destroy)?;
        let now = self.clock.now();
        let date = version.times.destroy;
        if !transitions.is_empty() && date.is_none_or(|date| now < date) {
            return Err(ServiceError::internal("the date of this destruction has not come"));
        }
        self.check_asked_for(&version).await?;
        let reason = format!("scheduled for {}", date.map(|date| date.to_string()).unwrap_or_default());
        let destruction = Destruction { context, version: Arc::clone(&version), reason };
        let recorded = self.recorder.intent(destruction).await?;
        if let Err(error) = self.destroy_in_store(&recorded, transitions).await {
            let (_, intent) = recorded.consume();
            return Err(fail(intent, error).await);
        }
        drop(states);
        let begun = Instant::now();
        let (result, intent) = self.custody.destroy(recorded, deadline).await;
        let micros = begun.elapsed().as_micros().try_into().unwrap_or(u64::MAX);
        let confirmed = match result {
            Ok(()) => self.store.confirm_destroyed(&version, now).await.map_err(ServiceError::internal),
            Err(error) => Err(error.into()),
        };
        match confirmed {
            Ok(version) => {
                let detail = Some("the token holds no record of this version".to_owned());
                complete(intent, Outcome { detail, ..Outcome::ok(micros) }).await.map(|()| version)
            }
            Err(error) => Err(fail(intent, error).await),
        }
    }

    /// Whether the audit record that the version's row names asked for its destruction. A record whose segment was
    /// moved away is believed: the row that names it is authentic.
    async fn check_asked_for(&self, version: &KeyVersion) -> Result<(), ServiceError> {
        let refused = |why: &str| {
            ServiceError::internal(format!(
                "nothing in the audit log asked for this destruction ({why}); restore the version, then schedule it again"
            ))
        };
        let intent = version.destroy_intent.ok_or_else(|| refused("its row names no record"))?;
        let (log, found) = self.recorder.record_at(intent.record).await?;
        if *log.as_bytes() != intent.log {
            return Err(refused("it names another log"));
        }
        let line = match found {
            FoundRecord::Here(line) => line,
            FoundRecord::MovedAway => return Ok(()),
            FoundRecord::Never => return Err(refused("the log ends before that record")),
        };
        if leaf_hash(line.json.as_bytes()) != intent.hash {
            return Err(refused("that record is another one"));
        }
        let record: serde_json::Value =
            serde_json::from_str(&line.json).map_err(|_| refused("that record is not readable"))?;
        let text = |pointer: &str| record.pointer(pointer).and_then(serde_json::Value::as_str);
        let names_it = text("/key/id") == Some(version.id.to_string().as_str());
        if text("/kind") == Some("intent") && text("/op") == Some(KEYS_DESTROY.name) && names_it {
            Ok(())
        } else {
            Err(refused("that record asks for something else"))
        }
    }

    async fn destroy_in_store(
        &self,
        recorded: &Recorded<Destruction>,
        transitions: Vec<Transition>,
    ) -> Result<(), ServiceError> {
        if transitions.is_empty() {
            return Ok(());
        }
        let Destruction { version, reason, .. } = recorded.subject();
        let transition = LifecycleUpdate {
            eoa: version.eoa,
            name: version.name.clone(),
            transitions,
            intent: intent_ref(&recorded.receipt()),
            is_take_away: false,
            at: self.clock.now(),
            destroy_at: None,
            reason: Some(reason.clone()),
        };
        self.store.apply(transition).await.map(drop).map_err(ServiceError::internal)
    }
}
