//! Rotation schedules: `POST /v1/keys/schedule` and `GET /v1/keys/schedule`.

use std::sync::Arc;
use std::time::Instant;

use audit_log::{Input, Intent, Outcome, Recordable, Value};
use jiff::Timestamp;

use super::change_lock::ChangeLock;
use crate::key::ScheduleScope;
use crate::key::{
    Eoa, KeyName, KeyVersion, LifecycleState, MOST_DAYS, RotationDates, SHORT_OVERLAP_DAYS, Schedule,
};
use crate::service::auth::authorise::Authorizer;
use crate::service::context::Context;
use crate::service::error::ServiceError;
use crate::service::error_code::ErrorCode;
use crate::service::operation::{KEYS_SCHEDULE_GET, KEYS_SCHEDULE_SET, Operation, OperationInfo, on_owner};
use crate::service::quotas::Quotas;
use crate::service::recorder::{Recorder, complete, fail};
use crate::service::subject::{AuditSubject, key_ref};
use crate::store::{Store, VersionNotFound};

/// A request to set or end a schedule.
#[derive(Debug)]
pub struct SetSchedule {
    /// Owner of the keys.
    pub eoa: Eoa,
    /// Which of them.
    pub scope: ScheduleScope,
    /// The schedule; `None` ends the existing one.
    pub schedule: Option<Schedule>,
    /// Reason, for the audit log.
    pub reason: Option<String>,
}

/// A request for a page of the schedules of an EOA.
#[derive(Debug)]
pub struct GetSchedule {
    /// Owner of the keys.
    pub eoa: Eoa,
    /// Only keys behind this name.
    pub after: Option<KeyName>,
    /// At most this many.
    pub most: usize,
}

/// A key, the schedule that it follows, and its next dates.
#[derive(Debug)]
pub struct ScheduledRotation {
    /// Its current version.
    pub current: Arc<KeyVersion>,
    /// The schedule, if it follows one.
    pub schedule: Option<Schedule>,
    /// Its next dates, if it follows one.
    pub dates: Option<RotationDates>,
    /// When each version is retired by the schedule at the earliest, or destroyed.
    pub ends: Vec<(Arc<KeyVersion>, Timestamp)>,
}

impl Operation for SetSchedule {
    fn info(&self) -> &'static OperationInfo {
        &KEYS_SCHEDULE_SET
    }

    fn owner(&self) -> Eoa {
        self.eoa
    }

    fn key_name(&self) -> Option<&KeyName> {
        match &self.scope {
            ScheduleScope::All => None,
            ScheduleScope::One(name) => Some(name),
        }
    }
}

on_owner!(GetSchedule, KEYS_SCHEDULE_GET);

/// A schedule that may be set: ready to be recorded.
struct PlannedSchedule {
    context: Context,
    request: SetSchedule,
}

impl Recordable for PlannedSchedule {
    fn intent(&self) -> Intent {
        let SetSchedule { eoa, scope, schedule, reason } = &self.request;
        let mut fields =
            vec![("eoa", Value::Text(eoa.to_string())), ("keys", Value::Text(scope.to_string()))];
        if let Some(schedule) = schedule {
            let number = |value: u32| Value::Number(u64::from(value));
            fields.extend([
                ("every_days", number(schedule.every_days)),
                ("announce_days", number(schedule.announce_days)),
                ("overlap_days", number(schedule.overlap_days)),
                ("activate", Value::Text(schedule.activate.to_string())),
                ("retire_on", Value::Text(schedule.retire_on.as_str().to_owned())),
                ("jitter_hours", number(schedule.jitter_hours)),
            ]);
        } else {
            fields.push(("every_days", Value::Number(0)));
        }
        fields.extend(reason.clone().map(|reason| ("reason", Value::Text(reason))));
        Intent {
            operation: KEYS_SCHEDULE_SET.name,
            actor: self.context.actor(),
            request: self.context.request().to_string(),
            key: self.request.key_name().map(|name| key_ref(*eoa, name)),
            input: Some(Input::Fields(fields)),
        }
    }
}

/// Rotation schedules.
#[derive(Clone, Debug)]
pub struct Schedules {
    authorizer: Authorizer,
    recorder: Recorder,
    store: Store,
    changes: ChangeLock,
    quotas: Quotas,
}

impl Schedules {
    pub(in crate::service) fn new(
        (authorizer, recorder): (Authorizer, Recorder),
        store: Store,
        changes: ChangeLock,
        quotas: Quotas,
    ) -> Self {
        Self { authorizer, recorder, store, changes, quotas }
    }

    /// Sets or ends a schedule; returns a warning where the overlap is short.
    ///
    /// # Errors
    /// Every refusal and failure, recorded.
    pub async fn set(
        &self,
        context: Context,
        request: SetSchedule,
        deadline: Instant,
    ) -> Result<Option<String>, ServiceError> {
        let (context, request) = self.authorizer.authorise(context, request)?.into_parts();
        let subject = AuditSubject::of(&request);
        let refuse = |error| self.recorder.refuse(&KEYS_SCHEDULE_SET, &context, subject.clone(), error);
        let _turn = self.changes.acquire(deadline).await.map_err(refuse)?;
        self.check(&request).map_err(refuse)?;
        let SetSchedule { eoa, scope, schedule, .. } = &request;
        let (eoa, scope, schedule) = (*eoa, scope.clone(), *schedule);
        let warning = schedule.filter(|schedule| schedule.overlap_days < SHORT_OVERLAP_DAYS).map(|_| {
            format!(
                "an overlap under {SHORT_OVERLAP_DAYS} days is shorter than leaving an operator set takes on \
                 mainnet"
            )
        });
        if self.store.schedule(&eoa, &scope) == schedule {
            self.recorder.note(&KEYS_SCHEDULE_SET, &context, subject, "ok");
            return Ok(warning);
        }
        if schedule.is_some() {
            self.quotas.check_schedule(&context, &self.store, &eoa, &scope).map_err(refuse)?;
        }
        let recorded = self.recorder.intent(PlannedSchedule { context, request }).await?;
        let number = recorded.receipt().seq;
        let (planned, intent) = recorded.consume();
        let written = match self.authorizer.recheck_credential(&planned.context) {
            Ok(()) => {
                let written = self.store.set_schedule(eoa, scope, schedule, number).await;
                written.map_err(ServiceError::internal)
            }
            Err(error) => Err(error),
        };
        match written {
            Ok(()) => complete(intent, Outcome::ok(0)).await.map(|()| warning),
            Err(error) => Err(fail(intent, error).await),
        }
    }

    /// The next dates of each key of an EOA, by name.
    ///
    /// # Errors
    /// When the caller may not.
    pub fn get(
        &self,
        context: Context,
        request: GetSchedule,
    ) -> Result<Vec<ScheduledRotation>, ServiceError> {
        let (context, request) = self.authorizer.authorise(context, request)?.into_parts();
        let GetSchedule { eoa, after, most } = request;
        self.recorder.note(&KEYS_SCHEDULE_GET, &context, AuditSubject::keys_of(eoa), "ok");
        let current = self.store.versions_after(Some(&eoa), most, |version| {
            version.status.lifecycle == LifecycleState::Active
                && after.as_ref().is_none_or(|after| version.name > *after)
        });
        Ok(current.iter().map(|current| self.of(current)).collect())
    }

    /// The schedule and dates of the key with this current version.
    pub fn of(&self, current: &Arc<KeyVersion>) -> ScheduledRotation {
        let (eoa, name) = (&current.eoa, &current.name);
        let schedule = self.store.schedule_of(eoa, name);
        let activated = current.times.activated.unwrap_or(current.times.created);
        let dates = schedule.map(|schedule| schedule.dates(eoa, name, current.version, activated));
        let mut ends = Vec::new();
        for version in self.store.versions_of_key(eoa, name) {
            let end = match (version.status.lifecycle, version.times.destroy, version.times.superseded) {
                (LifecycleState::Destroyed, ..) => None,
                (_, Some(date), _) => Some(date),
                (LifecycleState::Retiring, None, Some(since)) => {
                    schedule.map(|schedule| schedule.overlap_ends(since))
                }
                _ => None,
            };
            ends.extend(end.map(|end| (version, end)));
        }
        ScheduledRotation { current: Arc::clone(current), schedule, dates, ends }
    }

    fn check(&self, request: &SetSchedule) -> Result<(), ServiceError> {
        let missing =
            request.key_name().is_some_and(|name| self.store.versions_of_key(&request.eoa, name).is_empty());
        if missing {
            return Err(VersionNotFound::Key.into());
        }
        match request.schedule.as_ref().and_then(mistake) {
            Some((field, message)) => Err(ServiceError::new(ErrorCode::InvalidRequest, message).field(field)),
            None => Ok(()),
        }
    }
}

/// The member of a schedule that is out of bounds, if one is.
fn mistake(schedule: &Schedule) -> Option<(&'static str, String)> {
    let Schedule { every_days, announce_days, overlap_days, jitter_hours, .. } = *schedule;
    let too_long = format!("a schedule names at most {MOST_DAYS} days");
    if every_days == 0 || every_days > MOST_DAYS {
        Some(("every_days", too_long))
    } else if announce_days >= every_days {
        Some(("announce_days", "the announcement comes before the rotation, within its period".to_owned()))
    } else if overlap_days > MOST_DAYS {
        Some(("overlap_days", too_long))
    } else if u64::from(jitter_hours) > u64::from(every_days) * 24 {
        Some(("jitter_hours", "the jitter is no longer than the period".to_owned()))
    } else {
        None
    }
}
