//! `POST /v1/keys/activate|retire|disable|enable|destroy|restore`: status changes of a version.
//!
//! Durable transitions, in order: intent · all transitions of the change with their events · outcome. They differ in what
//! `key::KeyLifecycle` decides and in who may; one line keeps them alike. Not for: the destruction itself (`destroy_key`).

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use crate::auth::Scope;
use crate::key::KeyVersion;
use crate::key::{
    Eoa, KeyName, LifecycleAction, LifecycleState, OVERLAP_DAYS, SHORT_OVERLAP_DAYS, Transition,
    VersionSelector, days, later,
};
use crate::service::auth::authorise::Operation;
use crate::service::keys::new_version::fail_intent;
use crate::service::{AuditSubject, Context, ErrorCode, Service, ServiceError, version_ref};
use crate::store::{LifecycleUpdate, VersionNotFound};
use audit_log::{Input, Intent, Outcome, Recordable, Value};

/// A destruction comes after at least so many days.
pub const SHORTEST_GRACE_DAYS: u32 = 7;
/// A destruction comes after so many days where nothing is said.
pub const GRACE_DAYS: u32 = 30;

/// What the caller asks for.
#[derive(Debug)]
pub struct ChangeKey {
    /// The owner.
    pub eoa: Eoa,
    /// The name.
    pub name: KeyName,
    /// Which version; the one that the change is usual for, where nothing is said.
    pub version: Option<VersionSelector>,
    /// What is to happen.
    pub change: LifecycleAction,
    /// For a destruction: after how many days.
    pub after_days: u32,
    /// Why, for the audit log.
    pub reason: Option<String>,
}

impl ChangeKey {
    /// The name of a change in the audit log.
    pub const fn operation(change: LifecycleAction) -> &'static str {
        match change {
            LifecycleAction::Activate => "keys.activate",
            LifecycleAction::Retire => "keys.retire",
            LifecycleAction::Disable => "keys.disable",
            LifecycleAction::Enable => "keys.enable",
            LifecycleAction::ScheduleDestroy => "keys.destroy",
            LifecycleAction::Restore => "keys.restore",
            LifecycleAction::Destroy => "keys.destruction",
        }
    }
}

impl Operation for ChangeKey {
    fn name(&self) -> &'static str {
        Self::operation(self.change)
    }

    fn scope(&self) -> Scope {
        match self.change {
            LifecycleAction::Activate
            | LifecycleAction::Disable
            | LifecycleAction::Enable
            | LifecycleAction::Retire => Scope::KeysRotate,
            LifecycleAction::Destroy | LifecycleAction::Restore | LifecycleAction::ScheduleDestroy => {
                Scope::KeysDestroy
            }
        }
    }

    fn owner(&self) -> Eoa {
        self.eoa
    }

    fn key_name(&self) -> Option<&KeyName> {
        Some(&self.name)
    }

    fn is_irrevocable(&self) -> bool {
        self.scope() == Scope::KeysDestroy
    }
}

/// How it ended.
#[derive(Debug)]
pub struct Changed {
    /// The version, as it stands now.
    pub version: Arc<KeyVersion>,
    /// The one that was current before, where another took its place.
    pub previous: Option<Arc<KeyVersion>>,
    /// `false` if it held already.
    pub changed: bool,
    /// What the caller should know.
    pub warning: Option<String>,
}

/// A change that was decided: ready to be recorded.
struct PlannedTransition {
    context: Context,
    operation: &'static str,
    version: Arc<KeyVersion>,
    transitions: Vec<Transition>,
    destroy_at: Option<Timestamp>,
    reason: Option<String>,
}

impl Recordable for PlannedTransition {
    fn intent(&self) -> Intent {
        let mut fields = Vec::new();
        for transition in &self.transitions {
            if transition.version == self.version.version {
                fields.push(("from", Value::Text(transition.from.state().as_str().to_owned())));
                fields.push(("to", Value::Text(transition.to.state().as_str().to_owned())));
            } else {
                fields.push(("supersedes", Value::Number(u64::from(transition.version.number()))));
            }
        }
        fields.extend(self.destroy_at.map(|date| ("destroy_at", Value::Text(date.to_string()))));
        fields.extend(self.reason.clone().map(|reason| ("reason", Value::Text(reason))));
        Intent {
            operation: self.operation,
            actor: self.context.actor(),
            request: self.context.request().to_string(),
            key: Some(version_ref(&self.version)),
            input: Some(Input::Fields(fields)),
        }
    }
}

impl Service {
    /// Changes where a version stands; what holds already is no error.
    ///
    /// # Errors
    /// Every refusal and failure, recorded.
    pub async fn change_key(
        &self,
        context: Context,
        request: ChangeKey,
        deadline: Instant,
    ) -> Result<Changed, ServiceError> {
        let (context, wish) = self.authorise(context, request)?.into_parts();
        let operation = wish.name();
        let asked = AuditSubject::key(wish.eoa, &wish.name);
        let _one_at_a_time = match self.one_at_a_time(deadline).await {
            Ok(guard) => guard,
            Err(failure) => return Err(self.refuse(operation, &context, asked, failure)),
        };
        let decided = self.target(&wish).and_then(|version| {
            let transitions =
                self.store.lifecycle(&wish.eoa, &wish.name).transitions(version.version, wish.change)?;
            self.check(&wish, &version, &transitions)?;
            Ok((version, transitions))
        });
        let (version, transitions) = match decided {
            Ok(decided) => decided,
            Err(failure) => return Err(self.refuse(operation, &context, asked, failure)),
        };
        if transitions.is_empty() {
            self.note(operation, &context, AuditSubject::version(&version), "ok");
            return Ok(Changed { version, previous: None, changed: false, warning: None });
        }
        let warning = self.warning(&wish, &version);
        let now = self.now();
        let destroy_at =
            (wish.change == LifecycleAction::ScheduleDestroy).then(|| later(now, days(wish.after_days)));
        let reason = wish.reason.clone();
        let decided = PlannedTransition { context, operation, version, transitions, destroy_at, reason };
        let recorded = self.audit.record(decided).await;
        let recorded = recorded.map_err(|refused| ServiceError::from(refused.error).recorded())?;
        let intent = recorded.receipt().seq;
        let (decided, guard) = recorded.consume();
        if let Err(failure) = self.still_recognised(&decided.context) {
            return Err(fail_intent(guard, failure).await);
        }
        let update = LifecycleUpdate {
            eoa: wish.eoa,
            name: wish.name,
            transitions: decided.transitions,
            intent,
            at: now,
            destroy_at,
            reason: wish.reason,
        };
        match self.in_store(move |store| store.apply(&update)).await {
            Ok(changed) => {
                let outcome = Outcome { detail: warning.clone(), ..Outcome::ok(0) };
                guard
                    .record_outcome_durable(outcome)
                    .await
                    .map_err(|error| ServiceError::from(error).recorded())?;
                let is_target = |known: &&Arc<KeyVersion>| known.id == decided.version.id;
                let version = changed.iter().find(is_target).map_or(decided.version.clone(), Arc::clone);
                let previous = changed.iter().find(|known| !is_target(known)).map(Arc::clone);
                Ok(Changed { version, previous, changed: true, warning })
            }
            Err(failure) => Err(fail_intent(guard, failure).await),
        }
    }

    /// The version that is meant, where the request leaves it open.
    fn target(&self, wish: &ChangeKey) -> Result<Arc<KeyVersion>, ServiceError> {
        let versions = self.store.versions_of_key(&wish.eoa, &wish.name);
        if versions.is_empty() {
            return Err(VersionNotFound::Key.into());
        }
        let current = || {
            self.store.version(&wish.eoa, &wish.name, VersionSelector::Current).map_err(ServiceError::from)
        };
        let in_state =
            |state| versions.iter().find(|version| version.status.lifecycle == state).map(Arc::clone);
        match (wish.version, wish.change) {
            (Some(selector), _) => Ok(self.store.version(&wish.eoa, &wish.name, selector)?),
            (None, LifecycleAction::Disable | LifecycleAction::Enable) => current(),
            // A repetition finds nothing pending or retiring any more: then it holds already.
            (None, LifecycleAction::Activate) => {
                self.store.version(&wish.eoa, &wish.name, VersionSelector::Next).or_else(|_| current())
            }
            (None, LifecycleAction::Retire) => {
                let retiring = versions
                    .iter()
                    .filter(|version| version.status.lifecycle == LifecycleState::Retiring)
                    .count();
                if retiring > 1 {
                    let sentence = "more than one version is retiring: name the one to retire";
                    return Err(ServiceError::new(ErrorCode::InvalidRequest, sentence).field("version"));
                }
                let found = in_state(LifecycleState::Retiring).or_else(|| in_state(LifecycleState::Retired));
                found.ok_or_else(|| VersionNotFound::Version.into())
            }
            (
                None,
                LifecycleAction::Destroy | LifecycleAction::Restore | LifecycleAction::ScheduleDestroy,
            ) => {
                let sentence = "the member `version` is missing: name the version by its number";
                Err(ServiceError::new(ErrorCode::InvalidRequest, sentence).field("version"))
            }
        }
    }

    /// Conditions of an action beyond the status of the versions.
    fn check(
        &self,
        wish: &ChangeKey,
        version: &KeyVersion,
        transitions: &[Transition],
    ) -> Result<(), ServiceError> {
        if wish.change == LifecycleAction::ScheduleDestroy
            && !(SHORTEST_GRACE_DAYS..=crate::key::MOST_DAYS).contains(&wish.after_days)
        {
            let sentence = format!("a destruction comes after {SHORTEST_GRACE_DAYS} days or more");
            return Err(ServiceError::new(ErrorCode::InvalidRequest, sentence).field("after_days"));
        }
        // The current version must be one that signs.
        if wish.change == LifecycleAction::Activate && !transitions.is_empty() && !self.custody.holds(version)
        {
            let sentence = "the token does not hold this version, so it cannot become the current one";
            return Err(ServiceError::new(ErrorCode::HsmUnavailable, sentence)
                .retry_after(std::time::Duration::from_secs(5)));
        }
        Ok(())
    }

    /// An old version that goes early is missed by certificates of the tables that still name it.
    fn warning(&self, wish: &ChangeKey, version: &KeyVersion) -> Option<String> {
        let superseded = version.times.superseded.filter(|_| {
            matches!(wish.change, LifecycleAction::Retire | LifecycleAction::ScheduleDestroy)
                && matches!(version.status.lifecycle, LifecycleState::Retiring)
        })?;
        let overlap = self.store.schedule_of(&wish.eoa, &wish.name).ok().flatten();
        let overlap = overlap.map_or(OVERLAP_DAYS, |schedule| schedule.overlap_days).max(SHORT_OVERLAP_DAYS);
        let until = later(superseded, days(overlap));
        (self.now() < until).then(|| {
            format!(
                "this version ceased to be current less than {overlap} days ago; operator tables that name it may still be in use until {until}"
            )
        })
    }
}
