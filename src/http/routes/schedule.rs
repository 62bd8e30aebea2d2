//! `/v1/keys/schedule` and `/v1/events`: when keys are rotated, and what happened to them.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::http::dto::invalid_value::invalid;
use crate::http::dto::page::{Page, PageLimit};
use crate::http::dto::values::{
    Address, AnnounceDays, Bytes32, ChecksumAddress, Days, JitterHours, Name, NameOrAll, Reason,
    RetireOnName, StateName, Time,
};
use crate::http::endpoint::Endpoint;
use crate::http::extract::authenticated::AuthenticatedRequest;
use crate::http::extract::query::{Query, Seq};
use crate::http::openapi::description::{Description, Tag};
use crate::http::response::json;
use crate::key::ScheduleScope;
use crate::key::{KeyVersion, OVERLAP_DAYS, RetireOn, RotationDates, Schedule};
use crate::service::operation::{EVENTS_READ, KEYS_SCHEDULE_GET, KEYS_SCHEDULE_SET};
use crate::service::{GetSchedule, ReadEvents, ScheduledRotation, ServiceError, SetSchedule};

pub(crate) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::post(&KEYS_SCHEDULE_SET, "/v1/keys/schedule", set).describe(
            Description::new(Tag::Keys, "Set when a key, or every key of an EOA, is rotated")
                .body::<SetScheduleBody>()
                .returns::<ScheduleRecord>(200, "The schedule in force.")
                .refuses(&[404, 409]),
        ),
        Endpoint::get(&KEYS_SCHEDULE_GET, "/v1/keys/schedule", show).describe(
            Description::new(Tag::Keys, "Show when the keys of an EOA are rotated")
                .query::<Address>("eoa", "The owner of the keys.")
                .optional_query::<Name>("after", "Where the page before ended: its `next`.")
                .optional_query::<PageLimit>("limit", "The most keys of the page; 100 if absent.")
                .returns::<SchedulePage>(200, "A page of the keys, by name, each with its next dates."),
        ),
        Endpoint::get(&EVENTS_READ, "/v1/events", events).describe(
            Description::new(Tag::Keys, "List what happened to the caller's keys")
                .optional_query::<Seq>("after", "Only events with a higher number.")
                .optional_query::<PageLimit>("limit", "The most events of the page; 100 if absent.")
                .returns::<EventPage>(200, "A page, oldest first; `next` is the `after` of the next one."),
        ),
    ]
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub(crate) struct SetScheduleBody {
    eoa: Address,
    /// `default` if absent.
    name: Option<NameOrAll>,
    /// 0 ends the schedule.
    every_days: Days,
    /// 7 if absent, but less than `every_days`.
    announce_days: Option<AnnounceDays>,
    /// 21 if absent.
    overlap_days: Option<Days>,
    activate: Option<bool>,
    retire_on: Option<RetireOnName>,
    jitter_hours: Option<JitterHours>,
    reason: Option<Reason>,
}

impl From<SetScheduleBody> for SetSchedule {
    fn from(body: SetScheduleBody) -> Self {
        let SetScheduleBody { eoa: Address(eoa), every_days: Days(every_days), .. } = body;
        let announce_default = 7.min(every_days.saturating_sub(1));
        let schedule = Schedule {
            every_days,
            announce_days: body.announce_days.map_or(announce_default, |AnnounceDays(days)| days),
            overlap_days: body.overlap_days.map_or(OVERLAP_DAYS, |Days(days)| days),
            activate: body.activate.unwrap_or(false),
            retire_on: body.retire_on.map_or(RetireOn::Confirmed, |RetireOnName(retire_on)| retire_on),
            jitter_hours: body.jitter_hours.map_or(0, |JitterHours(hours)| hours),
        };
        let scope = body.name.map(|NameOrAll(scope)| scope);
        Self {
            eoa,
            scope: scope.unwrap_or(ScheduleScope::One(Default::default())),
            schedule: (every_days > 0).then_some(schedule),
            reason: body.reason.map(|Reason(reason)| reason),
        }
    }
}

/// The rules of a schedule; absent if there is none.
#[derive(Default, Serialize, ToSchema)]
struct ScheduleRules {
    #[serde(skip_serializing_if = "Option::is_none")]
    every_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    announce_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overlap_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    activate: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retire_on: Option<RetireOnName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jitter_hours: Option<u32>,
}

impl From<&Schedule> for ScheduleRules {
    fn from(schedule: &Schedule) -> Self {
        Self {
            every_days: Some(schedule.every_days),
            announce_days: Some(schedule.announce_days),
            overlap_days: Some(schedule.overlap_days),
            activate: Some(schedule.activate),
            retire_on: Some(RetireOnName(schedule.retire_on)),
            jitter_hours: Some(schedule.jitter_hours),
        }
    }
}

/// A schedule in force.
#[derive(Serialize, ToSchema)]
struct ScheduleRecord {
    eoa: ChecksumAddress,
    name: String,
    scheduled: bool,
    #[serde(flatten)]
    rules: ScheduleRules,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct SchedulePage {
    eoa: ChecksumAddress,
    #[schema(value_type = Vec<ScheduledKey>)]
    keys: Vec<Box<RawValue>>,
    /// The `after` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A key and what comes next for it.
#[derive(Serialize, ToSchema)]
struct ScheduledKey {
    name: String,
    current: u32,
    scheduled: bool,
    #[serde(flatten)]
    rules: ScheduleRules,
    #[serde(flatten)]
    dates: ScheduleDates,
    ends: Vec<VersionEnd>,
}

/// The next dates of a key; absent if it has no schedule.
#[derive(Default, Serialize, ToSchema)]
struct ScheduleDates {
    #[serde(skip_serializing_if = "Option::is_none")]
    announce_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    announce_at_unix: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at_unix: Option<i64>,
}

impl From<&RotationDates> for ScheduleDates {
    fn from(dates: &RotationDates) -> Self {
        Self {
            announce_at: Some(Time(dates.announce_at)),
            announce_at_unix: Some(dates.announce_at.as_second()),
            due_at: Some(Time(dates.due_at)),
            due_at_unix: Some(dates.due_at.as_second()),
        }
    }
}

/// When a version is retired by the schedule at the earliest, or destroyed.
#[derive(Serialize, ToSchema)]
struct VersionEnd {
    version: u32,
    state: StateName,
    at: Time,
    at_unix: i64,
}

impl From<&ScheduledRotation> for ScheduledKey {
    fn from(planned: &ScheduledRotation) -> Self {
        Self {
            name: planned.current.name.to_string(),
            current: planned.current.version.number(),
            scheduled: planned.schedule.is_some(),
            rules: planned.schedule.as_ref().map(ScheduleRules::from).unwrap_or_default(),
            dates: planned.dates.as_ref().map(ScheduleDates::from).unwrap_or_default(),
            ends: planned.ends.iter().map(VersionEnd::from).collect(),
        }
    }
}

impl From<&(Arc<KeyVersion>, Timestamp)> for VersionEnd {
    fn from((version, at): &(Arc<KeyVersion>, Timestamp)) -> Self {
        let state = StateName(version.state());
        Self { version: version.version.number(), state, at: Time(*at), at_unix: at.as_second() }
    }
}

#[derive(Serialize, ToSchema)]
struct EventPage {
    #[schema(value_type = Vec<KeyEvent>)]
    events: Vec<Box<RawValue>>,
    next: u64,
}

/// What happened to a version; a webhook delivers the same. Its form is the store's, which writes it once for both.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the schema of `store::KeyEvent::to_json`")]
struct KeyEvent {
    seq: u64,
    #[schema(rename = "type")]
    kind: String,
    eoa: ChecksumAddress,
    name: String,
    version: u32,
    at: Time,
    at_unix: i64,
    operator_id: Bytes32,
    state: StateName,
    due_at: Option<Time>,
    destroy_at: Option<Time>,
    reason: Option<String>,
}

async fn set(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    let set = call.parse(request, |body: SetScheduleBody| Ok(SetSchedule::from(body))).await?;
    let (eoa, name, schedule) = (ChecksumAddress(set.eoa), set.scope.to_string(), set.schedule);
    let warning = call.services().schedules.set(call.context().clone(), set, call.deadline()).await?;
    let rules = schedule.as_ref().map(ScheduleRules::from).unwrap_or_default();
    let record = ScheduleRecord { eoa, name, scheduled: schedule.is_some(), rules, warning };
    Ok(json(StatusCode::OK, &record))
}

async fn show(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    let read = || {
        let mut query = Query::of(&request)?;
        let eoa = query.text("eoa")?;
        let after = query.text("after")?.map(|Name(name)| name);
        let limit = query.limit()?;
        query.finish()?;
        let Address(eoa) = eoa.ok_or_else(|| invalid("missing query parameter `eoa`").field("eoa"))?;
        Ok((GetSchedule { eoa, after, most: limit + 1 }, limit))
    };
    let (read, limit) = call.checked(read())?;
    let eoa = ChecksumAddress(read.eoa);
    let keys = call.services().schedules.get(call.context().clone(), read)?;
    let page = Page::of(keys, limit, |planned| ScheduledKey::from(planned))?;
    let next = page.next(|planned| planned.current.name.to_string());
    Ok(json(StatusCode::OK, &SchedulePage { eoa, keys: page.items, next }))
}

async fn events(call: AuthenticatedRequest, request: Request) -> Result<Response, ServiceError> {
    let page = Query::of(&request).and_then(|mut query| {
        let page = query.numbered_page()?;
        query.finish().map(|()| page)
    });
    let read = call.checked(page.map(|(after, limit)| ReadEvents { after, limit }))?;
    let (after, limit) = (read.after, read.limit);
    let events = call.services().audit.events(call.context(), read).await?;
    let page = Page::of(events, limit, |event| event.to_json())?;
    let next = page.last.map_or(after, |event| event.seq);
    Ok(json(StatusCode::OK, &EventPage { events: page.items, next }))
}
