//! `/v1/keys/schedule` and `/v1/events`: what will happen to keys, and what has.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Map, Value, json as object};

use crate::http::dto::schema;
use crate::http::extract::authenticated::Call;
use crate::http::extract::object::invalid;
use crate::http::extract::query::Query;
use crate::http::extract::values;
use crate::http::response::json;
use crate::key::KeyVersion;
use crate::key::{OVERLAP_DAYS, RetireOn, Schedule};
use crate::service::{Failure, Planned, ReadEvents, ReadSchedule, SetSchedule};
use crate::store::ScheduleScope;

/// The most events of one page.
const PAGE: u64 = 1_000;

/// `POST /v1/keys/schedule`
#[utoipa::path(
    post, path = "/v1/keys/schedule", operation_id = "set_schedule", tag = "Keys",
    summary = "Set when a key, or every key of an EOA, is rotated",
    request_body = schema::ScheduleBody,
    responses((status = 200, description = "So it is", body = schema::ScheduleSet), (status = 404)),
    security(("token" = ["keys:rotate"])),
)]
pub(crate) async fn set(call: Call, request: Request) -> Result<Response, Failure> {
    let wish = call
        .parse_change(SetSchedule::NAME, request, |members| {
            let eoa = members.required("eoa", values::eoa)?;
            let scope = members.optional("name", scope)?.unwrap_or(ScheduleScope::One(Default::default()));
            let every_days: u32 = members.required("every_days", values::number)?;
            let schedule = Schedule {
                every_days,
                announce_days: members
                    .optional("announce_days", values::number)?
                    .unwrap_or(7.min(every_days.saturating_sub(1))),
                overlap_days: members.optional("overlap_days", values::number)?.unwrap_or(OVERLAP_DAYS),
                activate: members.optional("activate", values::flag)?.unwrap_or(false),
                retire_on: members.optional("retire_on", retire_on)?.unwrap_or(RetireOn::Confirmed),
                jitter_hours: members.optional("jitter_hours", values::number)?.unwrap_or(0),
            };
            let reason = members.optional("reason", values::reason)?;
            // Zero ends a schedule.
            Ok(SetSchedule { eoa, scope, schedule: (every_days > 0).then_some(schedule), reason })
        })
        .await?;
    let eoa = wish.eoa;
    let (scope, schedule) = (wish.scope.to_string(), wish.schedule);
    let warning = call.service().set_schedule(call.context().clone(), wish, call.deadline()).await?;
    let mut body = object!({"eoa": eoa.to_string(), "name": scope, "scheduled": schedule.is_some()});
    if let Some(members) = body.as_object_mut() {
        members.extend(schedule.map(|schedule| rules(&schedule)).unwrap_or_default());
        members.extend(warning.map(|warning| ("warning".to_owned(), warning.into())));
    }
    Ok(json(StatusCode::OK, &body))
}

/// `GET /v1/keys/schedule?eoa=0x…`
#[utoipa::path(
    get, path = "/v1/keys/schedule", operation_id = "read_schedule", tag = "Keys",
    summary = "When the keys of an EOA are rotated",
    params(("eoa" = schema::AddressText, Query)),
    responses((status = 200, description = "Each key and its next dates", body = schema::SchedulePage)),
    security(("token" = ["keys:read"])),
)]
pub(crate) async fn show(call: Call, request: Request) -> Result<Response, Failure> {
    let wish = Query::of(&request).and_then(|mut query| {
        let eoa = query.text("eoa").ok_or_else(|| invalid("ask for ?eoa=0x…").at("eoa"))?;
        query.finish()?;
        Ok(ReadSchedule { eoa: values::address(&eoa).map_err(|failure| failure.at("eoa"))? })
    });
    let wish = call.checked(ReadSchedule::NAME, wish)?;
    let eoa = wish.eoa.to_string();
    let keys = call.service().read_schedule(call.context().clone(), wish)?;
    let keys: Vec<_> = keys.iter().map(key).collect();
    Ok(json(StatusCode::OK, &object!({"eoa": eoa, "keys": keys})))
}

/// `GET /v1/events?after=SEQ&limit=N`
#[utoipa::path(
    get, path = "/v1/events", operation_id = "read_events", tag = "Keys",
    summary = "What happened to one's own keys",
    params(
        ("after" = Option<u64>, Query, minimum = 0, maximum = 9223372036854775807_usize, description = "Only what has a higher number"),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "A page, oldest first", body = schema::EventPage)),
    security(("token" = ["keys:read"])),
)]
pub(crate) async fn events(call: Call, request: Request) -> Result<Response, Failure> {
    let wish = Query::of(&request).and_then(|mut query| {
        let after = query.number("after")?.unwrap_or(0);
        let limit = query.number("limit")?.unwrap_or(100);
        query.finish()?;
        if !(1..=PAGE).contains(&limit) {
            return Err(invalid(format!("a page has 1 to {PAGE} events")).at("limit"));
        }
        Ok(ReadEvents { after, limit: usize::try_from(limit).unwrap_or(usize::MAX) })
    });
    let wish = call.checked(ReadEvents::NAME, wish)?;
    let after = wish.after;
    let events = call.service().read_events(call.context(), wish).await?;
    let next = events.last().map_or(after, |event| event.seq);
    let events: Vec<_> = events.iter().map(|event| event.to_json()).collect();
    Ok(json(StatusCode::OK, &object!({"events": events, "next": next})))
}

fn rules(schedule: &Schedule) -> Map<String, Value> {
    let Schedule { every_days, announce_days, overlap_days, activate, retire_on, jitter_hours } = *schedule;
    let rules = object!({
        "every_days": every_days,
        "announce_days": announce_days,
        "overlap_days": overlap_days,
        "activate": activate,
        "retire_on": retire_on.as_str(),
        "jitter_hours": jitter_hours,
    });
    rules.as_object().cloned().unwrap_or_default()
}

fn key(planned: &Planned) -> Value {
    let mut members = Map::new();
    members.insert("name".to_owned(), planned.current.name.as_str().into());
    members.insert("current".to_owned(), planned.current.version.number().into());
    members.insert("scheduled".to_owned(), planned.schedule.is_some().into());
    members.extend(planned.schedule.as_ref().map(rules).unwrap_or_default());
    let mut date = |name: &str, time: Timestamp| {
        members.insert(name.to_owned(), time.to_string().into());
        members.insert(format!("{name}_unix"), time.as_second().into());
    };
    if let Some(dates) = &planned.dates {
        date("announce_at", dates.announce_at);
        date("due_at", dates.due_at);
    }
    let ends: Vec<_> = planned.ends.iter().map(end).collect();
    members.insert("ends".to_owned(), ends.into());
    Value::Object(members)
}

fn end((version, time): &(Arc<KeyVersion>, Timestamp)) -> Value {
    object!({
        "version": version.version.number(),
        "state": version.state().as_str(),
        "at": time.to_string(),
        "at_unix": time.as_second(),
    })
}

fn scope(value: Value) -> Result<ScheduleScope, Failure> {
    let error = |_| invalid("a key's name, or \"*\" for all keys of the EOA, is expected here");
    values::text(value)?.parse().map_err(error)
}

fn retire_on(value: Value) -> Result<RetireOn, Failure> {
    values::text(value)?.parse().map_err(|error: &str| invalid(error))
}
