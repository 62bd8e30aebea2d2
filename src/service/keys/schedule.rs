//! `POST /v1/keys/schedule` and `GET /v1/keys/schedule`: when the keys of an EOA are rotated.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use crate::auth::Scope;
use crate::key::KeyVersion;
use crate::key::{Eoa, KeyName, LifecycleState, MOST_DAYS, RotationDates, SHORT_OVERLAP_DAYS, Schedule};
use crate::service::auth::authorise::Operation;
use crate::service::keys::new_version::fail_intent;
use crate::service::{AuditSubject, Context, ErrorCode, Service, ServiceError};
use crate::store::{ScheduleScope, VersionNotFound};
use audit_log::{Input, Intent, KeyRef, Outcome, Recordable, Value};

/// A schedule to be set, or ended.
#[derive(Debug)]
pub struct SetSchedule {
    /// Whose keys.
    pub eoa: Eoa,
    /// Which of them.
    pub scope: ScheduleScope,
    /// The schedule; none ends the one that there is.
    pub schedule: Option<Schedule>,
    /// Why, for the audit log.
    pub reason: Option<String>,
}

/// The schedules of an EOA, to be read.
#[derive(Debug)]
pub struct ReadSchedule {
    /// Whose keys.
    pub eoa: Eoa,
}

/// A key, the schedule that it follows, and what comes next.
#[derive(Debug)]
pub struct Planned {
    /// Its current version.
    pub current: Arc<KeyVersion>,
    /// The schedule, if it follows one.
    pub schedule: Option<Schedule>,
    /// Its next dates, if it follows one.
    pub dates: Option<RotationDates>,
    /// When versions are retired by the schedule at the earliest, and destroyed.
    pub ends: Vec<(Arc<KeyVersion>, Timestamp)>,
}

impl SetSchedule {
    /// Its name in the audit log.
    pub const NAME: &'static str = "keys.schedule";
}

impl ReadSchedule {
    /// Its name in the audit log.
    pub const NAME: &'static str = "keys.schedule_read";
}

impl Operation for SetSchedule {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn scope(&self) -> Scope {
        Scope::KeysRotate
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

impl Operation for ReadSchedule {
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

/// A schedule that may be set: ready to be recorded.
struct Allowed {
    context: Context,
    wish: SetSchedule,
}

impl Recordable for Allowed {
    fn intent(&self) -> Intent {
        let SetSchedule { eoa, scope, schedule, reason } = &self.wish;
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
        let key = self.wish.key_name().map(|name| KeyRef {
            eoa: eoa.to_string(),
            name: name.to_string(),
            version: None,
            id: None,
            public_key_hash: None,
        });
        Intent {
            operation: SetSchedule::NAME,
            actor: self.context.actor(),
            request: self.context.request().to_string(),
            key,
            input: Some(Input::Fields(fields)),
        }
    }
}

impl Service {
    /// Sets or ends a schedule; gives a warning where the overlap is short.
    ///
    /// # Errors
    /// Every refusal and failure, recorded.
    pub async fn set_schedule(
        &self,
        context: Context,
        request: SetSchedule,
        deadline: Instant,
    ) -> Result<Option<String>, ServiceError> {
        let (context, wish) = self.authorise(context, request)?.into_parts();
        let asked = wish
            .key_name()
            .map_or_else(|| AuditSubject::keys_of(wish.eoa), |name| AuditSubject::key(wish.eoa, name));
        let refused = |failure| self.refuse(SetSchedule::NAME, &context, asked.clone(), failure);
        let _one_at_a_time = self.one_at_a_time(deadline).await.map_err(refused)?;
        let missing =
            wish.key_name().is_some_and(|name| self.store.versions_of_key(&wish.eoa, name).is_empty());
        if missing {
            return Err(refused(VersionNotFound::Key.into()));
        }
        if let Some((field, sentence)) = wish.schedule.as_ref().and_then(mistake) {
            return Err(refused(ServiceError::new(ErrorCode::InvalidRequest, sentence).field(field)));
        }
        let holds = self.store.schedule(&wish.eoa, &wish.scope).map_err(ServiceError::internal)?;
        let warning = wish.schedule.filter(|schedule| schedule.overlap_days < SHORT_OVERLAP_DAYS).map(|_| {
            format!("an overlap under {SHORT_OVERLAP_DAYS} days is shorter than leaving an operator set takes on mainnet")
        });
        if holds == wish.schedule {
            self.note(SetSchedule::NAME, &context, asked, "ok");
            return Ok(warning);
        }
        let (eoa, scope, schedule) = (wish.eoa, wish.scope.clone(), wish.schedule);
        let recorded = self.audit.record(Allowed { context, wish }).await;
        let recorded = recorded.map_err(|refused| ServiceError::from(refused.error).recorded())?;
        let intent = recorded.receipt().seq;
        let (allowed, guard) = recorded.consume();
        if let Err(failure) = self.still_recognised(&allowed.context) {
            return Err(fail_intent(guard, failure).await);
        }
        let write = self.in_store(move |store| store.set_schedule(&eoa, &scope, schedule.as_ref(), intent));
        match write.await {
            Ok(()) => {
                guard
                    .record_outcome_durable(Outcome::ok(0))
                    .await
                    .map_err(|error| ServiceError::from(error).recorded())?;
                Ok(warning)
            }
            Err(failure) => Err(fail_intent(guard, failure).await),
        }
    }

    /// What comes next for each key of an EOA, by name.
    ///
    /// # Errors
    /// When the caller may not, or the store cannot be read.
    pub fn read_schedule(
        &self,
        context: Context,
        request: ReadSchedule,
    ) -> Result<Vec<Planned>, ServiceError> {
        let (context, ReadSchedule { eoa }) = self.authorise(context, request)?.into_parts();
        self.note(ReadSchedule::NAME, &context, AuditSubject::keys_of(eoa), "ok");
        let versions = self.store.versions_of_eoa(&eoa);
        let current = versions.iter().filter(|version| version.status.lifecycle == LifecycleState::Active);
        current.map(|current| self.planned(current)).collect()
    }

    /// The dates that follow from what holds now.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn planned(&self, current: &Arc<KeyVersion>) -> Result<Planned, ServiceError> {
        let (eoa, name) = (&current.eoa, &current.name);
        let schedule = self.store.schedule_of(eoa, name).map_err(ServiceError::internal)?;
        let activated = current.times.activated.unwrap_or(current.times.created);
        let dates = schedule.map(|schedule| schedule.dates(eoa, name, current.version, activated));
        let versions = self.store.versions_of_key(eoa, name);
        let mut ends = Vec::new();
        for version in versions {
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
        Ok(Planned { current: Arc::clone(current), schedule, dates, ends })
    }
}

/// What is wrong with a schedule, if something is.
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
