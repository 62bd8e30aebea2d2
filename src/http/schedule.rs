//! `/v1/keys/schedule` and `/v1/events`: what will happen to keys, and what has.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Map, Value, json as object};

use super::answer::json;
use super::audit::Query;
use super::body::invalid;
use super::call::Call;
use super::form;
use crate::key::{OVERLAP_DAYS, RetireOn, Schedule};
use crate::operation::{Failure, Planned, ReadEvents, ReadSchedule, SetSchedule};
use crate::store::{KeyVersion, ScheduleScope};

/// The most events of one page.
const PAGE: u64 = 1_000;

/// `POST /v1/keys/schedule`
pub(super) async fn set(call: Call, request: Request) -> Result<Response, Failure> {
    let wish = call
        .parse(SetSchedule::NAME, request, |members| {
            let eoa = members.required("eoa", form::eoa)?;
            let scope = members.optional("name", scope)?.unwrap_or(ScheduleScope::One(Default::default()));
            let every_days: u32 = members.required("every_days", form::number)?;
            let schedule = Schedule {
                every_days,
                announce_days: members
                    .optional("announce_days", form::number)?
                    .unwrap_or(7.min(every_days.saturating_sub(1))),
                overlap_days: members.optional("overlap_days", form::number)?.unwrap_or(OVERLAP_DAYS),
                activate: members.optional("activate", form::flag)?.unwrap_or(false),
                retire_on: members.optional("retire_on", retire_on)?.unwrap_or(RetireOn::Confirmed),
                jitter_hours: members.optional("jitter_hours", form::number)?.unwrap_or(0),
            };
            let reason = members.optional("reason", form::reason)?;
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
pub(super) async fn show(call: Call, request: Request) -> Result<Response, Failure> {
    let query = request.uri().query().unwrap_or_default();
    let wish = match query.split_once('=') {
        Some(("eoa", eoa)) if !eoa.contains('&') => {
            form::address(eoa).map(|eoa| ReadSchedule { eoa }).map_err(|failure| failure.at("eoa"))
        }
        _ => Err(invalid("ask for ?eoa=0x…").at("eoa")),
    };
    let wish = call.checked(ReadSchedule::NAME, wish)?;
    let eoa = wish.eoa.to_string();
    let keys = call.service().read_schedule(call.context().clone(), wish)?;
    let keys: Vec<_> = keys.iter().map(key).collect();
    Ok(json(StatusCode::OK, &object!({"eoa": eoa, "keys": keys})))
}

/// `GET /v1/events?after=SEQ&limit=N`
pub(super) async fn events(call: Call, request: Request) -> Result<Response, Failure> {
    let wish = Query::of(&request).and_then(|mut query| {
        let after = query.take("after").unwrap_or(0);
        let limit = query.take("limit").unwrap_or(100);
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
    form::text(value)?.parse().map_err(error)
}

fn retire_on(value: Value) -> Result<RetireOn, Failure> {
    form::text(value)?.parse().map_err(|error: &str| invalid(error))
}
