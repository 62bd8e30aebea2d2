//! Transitions of a version: `POST /v1/keys/activate|retire|unretire|disable|enable|destroy|restore`, one line for all.
//!
//! Durable transitions, in order: intent · all transitions of the change with their events · outcome. `key::KeyLifecycle` decides which
//! transitions. Not for: the destruction itself (`destroy`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use audit_log::{Input, Intent, Outcome, Recordable, Value};
use jiff::Timestamp;

use super::admin::KeyAdmin;
use super::take_away::intent_ref;
use crate::key::{
    Eoa, KeyName, KeyVersion, LifecycleAction, LifecycleState, MOST_DAYS, OVERLAP_DAYS, SHORT_OVERLAP_DAYS,
    Transition, VersionSelector, days, later,
};
use crate::service::context::Context;
use crate::service::error::ServiceError;
use crate::service::error_code::ErrorCode;
use crate::service::operation::{
    KEYS_ACTIVATE, KEYS_DESTROY, KEYS_DESTROY_DUE, KEYS_DISABLE, KEYS_ENABLE, KEYS_RESTORE, KEYS_RETIRE,
    KEYS_UNRETIRE, Operation, OperationInfo,
};
use crate::service::recorder::{complete, fail};
use crate::service::subject::{AuditSubject, version_ref};
use crate::store::{LifecycleUpdate, VersionNotFound};

/// The shortest time before a scheduled destruction, days.
pub const SHORTEST_GRACE_DAYS: u32 = 7;
/// The time before a scheduled destruction if the request names none, days.
pub const GRACE_DAYS: u32 = 30;

/// A request to change a version.
#[derive(Debug)]
pub struct ChangeKey {
    /// Owner of the key.
    pub eoa: Eoa,
    /// Name of the key.
    pub name: KeyName,
    /// Which version; `None` takes the usual one for the change.
    pub version: Option<VersionSelector>,
    /// What changes.
    pub change: LifecycleAction,
    /// For a destruction: after how many days.
    pub after_days: u32,
    /// Reason, for the audit log.
    pub reason: Option<String>,
}

impl ChangeKey {
    /// The operation of a change.
    pub const fn operation(change: LifecycleAction) -> &'static OperationInfo {
        match change {
            LifecycleAction::Activate => &KEYS_ACTIVATE,
            LifecycleAction::Retire => &KEYS_RETIRE,
            LifecycleAction::Unretire => &KEYS_UNRETIRE,
            LifecycleAction::Disable => &KEYS_DISABLE,
            LifecycleAction::Enable => &KEYS_ENABLE,
            LifecycleAction::ScheduleDestroy => &KEYS_DESTROY,
            LifecycleAction::Restore => &KEYS_RESTORE,
            LifecycleAction::Destroy => &KEYS_DESTROY_DUE,
        }
    }
}

impl Operation for ChangeKey {
    fn info(&self) -> &'static OperationInfo {
        Self::operation(self.change)
    }

    fn owner(&self) -> Eoa {
        self.eoa
    }

    fn key_name(&self) -> Option<&KeyName> {
        Some(&self.name)
    }
}

/// The result of a change.
#[derive(Debug)]
pub struct Changed {
    /// The version after the change.
    pub version: Arc<KeyVersion>,
    /// The version that was current before, where another replaced it.
    pub previous: Option<Arc<KeyVersion>>,
    /// `false` if the version was in this state already.
    pub changed: bool,
    /// What the caller should know.
    pub warning: Option<String>,
}

/// A change that was decided: ready to be recorded.
struct PlannedTransition {
    context: Context,
    operation: &'static OperationInfo,
    version: Arc<KeyVersion>,
    transitions: Vec<Transition>,
    destroy_at: Option<Timestamp>,
    reason: Option<String>,
}

impl Recordable for PlannedTransition {
    fn intent(&self) -> Intent {
        let mut fields = Vec::new();
        for step in &self.transitions {
            if step.version == self.version.version {
                fields.push(("from", Value::Text(step.from.state().as_str().to_owned())));
                fields.push(("to", Value::Text(step.to.state().as_str().to_owned())));
            } else {
                fields.push(("supersedes", Value::Number(u64::from(step.version.number()))));
            }
        }
        fields.extend(self.destroy_at.map(|date| ("destroy_at", Value::Text(date.to_string()))));
        fields.extend(self.reason.clone().map(|reason| ("reason", Value::Text(reason))));
        Intent {
            operation: self.operation.name,
            actor: self.context.actor(),
            request: self.context.request().to_string(),
            key: Some(version_ref(&self.version)),
            input: Some(Input::Fields(fields)),
        }
    }
}

impl KeyAdmin {
    /// Changes the state of a version. A version that is in that state already is no error.
    ///
    /// # Errors
    /// Every refusal and failure, recorded.
    pub async fn change(
        &self,
        context: Context,
        request: ChangeKey,
        deadline: Instant,
    ) -> Result<Changed, ServiceError> {
        let (context, request) = self.authorizer.authorise(context, request)?.into_parts();
        let operation = request.info();
        let refuse = |context: &Context, error| {
            self.recorder.refuse(operation, context, AuditSubject::of(&request), error)
        };
        let _turn = match operation.takes_away() {
            true => None,
            false => Some(self.changes.acquire(deadline).await.map_err(|error| refuse(&context, error))?),
        };
        let _states = self.changes.acquire_states(deadline).await.map_err(|error| refuse(&context, error))?;
        let (version, transitions) = self.decide(&request).map_err(|error| refuse(&context, error))?;
        if transitions.is_empty() {
            self.recorder.note(operation, &context, AuditSubject::version(&version), "ok");
            return Ok(Changed { version, previous: None, changed: false, warning: None });
        }
        let warning = self.warning(&request, &version);
        let now = self.clock.now();
        let schedules_destruction = request.change == LifecycleAction::ScheduleDestroy;
        // From the highest time seen: a clock that is behind brings no destruction forward.
        let destroy_at = schedules_destruction.then(|| later(self.clock.latest(), days(request.after_days)));
        let reason = request.reason.clone();
        let planned = PlannedTransition { context, operation, version, transitions, destroy_at, reason };
        let recorded = self.recorder.intent_of(operation, planned).await?;
        let intent_of = intent_ref(&recorded.receipt());
        let (PlannedTransition { context, version, transitions, .. }, intent) = recorded.consume();
        let ChangeKey { eoa, name, reason, .. } = request;
        let transition = LifecycleUpdate {
            eoa,
            name,
            transitions,
            intent: intent_of,
            is_take_away: false,
            at: now,
            destroy_at,
            reason,
        };
        let applied = match self.authorizer.recheck_credential(&context) {
            Ok(()) => self.store.apply(transition).await.map_err(ServiceError::internal),
            Err(error) => Err(error),
        };
        match applied {
            Ok(changed) => {
                complete(intent, Outcome { detail: warning.clone(), ..Outcome::ok(0) }).await?;
                let is_target = |known: &&Arc<KeyVersion>| known.id == version.id;
                let after = changed.iter().find(is_target).map_or(&version, |known| known);
                let previous = changed.iter().find(|known| !is_target(known)).map(Arc::clone);
                Ok(Changed { version: Arc::clone(after), previous, changed: true, warning })
            }
            Err(error) => Err(fail(intent, error).await),
        }
    }

    fn decide(&self, request: &ChangeKey) -> Result<(Arc<KeyVersion>, Vec<Transition>), ServiceError> {
        let version = self.target(request)?;
        let life = self.store.lifecycle(&request.eoa, &request.name);
        let transitions = life.transitions(version.version, request.change)?;
        self.check(request, &version, &transitions)?;
        Ok((version, transitions))
    }

    /// The version that changes, where the request names none.
    fn target(&self, request: &ChangeKey) -> Result<Arc<KeyVersion>, ServiceError> {
        let (eoa, name) = (&request.eoa, &request.name);
        let versions = self.store.versions_of_key(eoa, name);
        if versions.is_empty() {
            return Err(VersionNotFound::Key.into());
        }
        let version = |selector| self.store.version(eoa, name, selector).map_err(ServiceError::from);
        let in_state =
            |state| versions.iter().find(|version| version.status.lifecycle == state).map(Arc::clone);
        match (request.version, request.change) {
            (Some(selector), _) => version(selector),
            (None, LifecycleAction::Disable | LifecycleAction::Enable) => version(VersionSelector::Current),
            // To go back to an older version needs its number. A repetition finds nothing pending any more.
            (None, LifecycleAction::Activate) => {
                version(VersionSelector::Next).or_else(|_| version(VersionSelector::Current))
            }
            (None, LifecycleAction::Retire) => {
                let is_retiring =
                    |version: &&Arc<KeyVersion>| version.status.lifecycle == LifecycleState::Retiring;
                if versions.iter().filter(is_retiring).count() > 1 {
                    let message = "more than one version is retiring: name the version to retire";
                    return Err(ServiceError::new(ErrorCode::InvalidRequest, message).field("version"));
                }
                let found = in_state(LifecycleState::Retiring).or_else(|| in_state(LifecycleState::Retired));
                found.ok_or_else(|| VersionNotFound::Version.into())
            }
            (
                None,
                LifecycleAction::Destroy
                | LifecycleAction::Restore
                | LifecycleAction::ScheduleDestroy
                | LifecycleAction::Unretire,
            ) => {
                let message = "the member `version` is missing: name the version by its number";
                Err(ServiceError::new(ErrorCode::InvalidRequest, message).field("version"))
            }
        }
    }

    /// What a change needs beyond the states of the versions.
    fn check(
        &self,
        request: &ChangeKey,
        version: &KeyVersion,
        transitions: &[Transition],
    ) -> Result<(), ServiceError> {
        if request.change == LifecycleAction::ScheduleDestroy
            && !(SHORTEST_GRACE_DAYS..=MOST_DAYS).contains(&request.after_days)
        {
            let message = format!("a destruction comes after {SHORTEST_GRACE_DAYS} days or more");
            return Err(ServiceError::new(ErrorCode::InvalidRequest, message).field("after_days"));
        }
        // The current version must be one that signs.
        if request.change == LifecycleAction::Activate
            && !transitions.is_empty()
            && !self.custody.holds(version)
        {
            let message = "the HSM does not hold this version; it was not made the current one";
            let error = ServiceError::new(ErrorCode::HsmUnavailable, message);
            return Err(error.retry_after(Duration::from_secs(5)));
        }
        Ok(())
    }

    /// Operator tables may name a version for a while after it ceased to be current.
    fn warning(&self, request: &ChangeKey, version: &KeyVersion) -> Option<String> {
        let ends_use = matches!(request.change, LifecycleAction::Retire | LifecycleAction::ScheduleDestroy)
            && matches!(version.status.lifecycle, LifecycleState::Retiring);
        let superseded = version.times.superseded.filter(|_| ends_use)?;
        let schedule = self.store.schedule_of(&request.eoa, &request.name);
        let overlap = schedule.map_or(OVERLAP_DAYS, |schedule| schedule.overlap_days).max(SHORT_OVERLAP_DAYS);
        let until = later(superseded, days(overlap));
        (self.clock.now() < until).then(|| {
            format!(
                "this version ceased to be current less than {overlap} days ago; operator tables that name it \
                 may still be in use until {until}"
            )
        })
    }
}
