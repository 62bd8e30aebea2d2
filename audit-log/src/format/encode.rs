//! Encoder of records: one line of JSON whose members always come in the same order, schema version
//! 2.
//!
//! A record is a prefix that only the writer knows (sequence number, time) and a body that the
//! caller made in its own thread. Not for: framing (`frame`).

use std::net::SocketAddr;

use crate::format::json;
use crate::format::record::{
    Actor, ActorKind, BuildInfo, Event, Input, Intent, KeyRef, LocalUser, Outcome, StoreStamp, Value,
};
use crate::format::time::{self, RecordTime};
use crate::format::view::START;

/// Starts a stored record: `{"v":2,"seq":…,"time":…,` and then the body follows. Readers get `prev`
/// as well (`view`).
pub(crate) fn prefix(out: &mut Vec<u8>, seq: u64, time: RecordTime) {
    out.extend_from_slice(START);
    json::digits(out, seq);
    json::name(out, "time");
    out.push(b'"');
    time::write(out, time.wall_ns);
    out.extend_from_slice(b"\",");
}

/// The body of an intent.
pub(crate) fn intent_body(intent: &Intent) -> Vec<u8> {
    let mut out = start("intent", 640);
    json::text(&mut out, "op", intent.operation);
    actor(&mut out, &intent.actor);
    json::text(&mut out, "request", &intent.request);
    key(&mut out, intent.key.as_ref());
    input(&mut out, intent.input.as_ref());
    end(out)
}

/// The body of an outcome; `kind` is `outcome`, or `recovered` for an intent of an earlier run. It
/// repeats nothing of its intent, which has the actor, the operation and the key.
pub(crate) fn outcome_body(
    kind: &str,
    intent: u64,
    outcome: &Outcome,
    stamp: Option<&StoreStamp>,
) -> Vec<u8> {
    let mut out = start(kind, 192);
    json::number(&mut out, "intent", intent);
    json::text(&mut out, "code", outcome.code);
    if let Some(hash) = &outcome.signature_hash {
        json::hash(&mut out, "signature_hash", hash);
    }
    json::number(&mut out, "micros", outcome.micros);
    if let Some(detail) = &outcome.detail {
        json::text(&mut out, "detail", shortened(detail));
    }
    if let Some(StoreStamp { counter, chain, root, mac }) = stamp {
        object(&mut out, "store", |out| {
            json::number(out, "counter", *counter);
            json::hash(out, "chain_after", chain);
            json::hash(out, "root_after", root);
            json::hash(out, "mac", mac);
        });
    }
    end(out)
}

/// The body of an event.
pub(crate) fn event_body(event: &Event) -> Vec<u8> {
    let mut out = start("event", 640);
    json::text(&mut out, "op", event.operation);
    actor(&mut out, &event.actor);
    if let Some(request) = &event.request {
        json::text(&mut out, "request", request);
    }
    key(&mut out, event.key.as_ref());
    input(&mut out, event.input.as_ref());
    json::text(&mut out, "code", event.code);
    end(out)
}

/// The body for `count` refusals of unauthenticated clients that came too fast for a record each.
pub(crate) fn aggregate_body(
    operation: &str,
    code: &str,
    count: u64,
    since: u64,
    addresses: [Option<SocketAddr>; 2],
) -> Vec<u8> {
    let mut out = start("aggregate", 256);
    json::text(&mut out, "op", operation);
    json::text(&mut out, "code", code);
    json::number(&mut out, "count", count);
    json::name(&mut out, "since");
    out.push(b'"');
    time::write(&mut out, since);
    out.push(b'"');
    for (member, address) in ["first_address", "last_address"].into_iter().zip(addresses) {
        if let Some(address) = address {
            json::text(&mut out, member, &address.to_string());
        }
    }
    end(out)
}

/// The body of a start: what holds for every record up to the next one.
pub(crate) fn start_body(
    build: &BuildInfo,
    log: &[u8; 16],
    boot: &[u8; 8],
    kernel_boot: &str,
    mono_ns: u64,
    removed_tail_bytes: u64,
) -> Vec<u8> {
    let mut out = start("start", 384);
    json::text(&mut out, "log", &hex::encode(log));
    json::text(&mut out, "boot", &hex::encode(boot));
    json::text(&mut out, "version", &build.version);
    json::hash(&mut out, "config_digest", &build.config_digest);
    json::text(&mut out, "kernel_boot", kernel_boot);
    json::number(&mut out, "mono_ns", mono_ns);
    json::number(&mut out, "pid", u64::from(std::process::id()));
    json::number(&mut out, "removed_tail_bytes", removed_tail_bytes);
    if let Some(installation) = &build.installation {
        json::text(&mut out, "installation", shortened(installation));
    }
    end(out)
}

/// The body of a stop.
pub(crate) fn stop_body() -> Vec<u8> {
    end(start("stop", 32))
}

/// The body after a failed write: the log continues in a new segment.
pub(crate) fn resume_body(cause: &str, abandoned: &str, offset: u64) -> Vec<u8> {
    let mut out = start("resume", 256);
    json::text(&mut out, "cause", shortened(cause));
    json::text(&mut out, "abandoned", abandoned);
    json::number(&mut out, "offset", offset);
    end(out)
}

/// The body for a step of the wall clock against the monotonic one.
pub(crate) fn clock_step_body(moved_ms: i64, mono_ns: u64) -> Vec<u8> {
    let mut out = start("clock_step", 96);
    json::signed(&mut out, "moved_ms", moved_ms);
    json::number(&mut out, "mono_ns", mono_ns);
    end(out)
}

/// The body that says how many events were dropped while the queue was full.
pub(crate) fn records_dropped_body(count: u64) -> Vec<u8> {
    let mut out = start("records_dropped", 64);
    json::number(&mut out, "count", count);
    end(out)
}

fn start(kind: &str, capacity: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(capacity);
    json::text(&mut out, "kind", kind);
    out
}

fn end(mut out: Vec<u8>) -> Vec<u8> {
    out.push(b'}');
    out
}

fn object(out: &mut Vec<u8>, member: &'static str, fill: impl FnOnce(&mut Vec<u8>)) {
    json::name(out, member);
    out.push(b'{');
    fill(out);
    out.push(b'}');
}

fn actor(out: &mut Vec<u8>, actor: &Actor) {
    object(out, "actor", |out| {
        let kind = match actor.kind {
            ActorKind::AccessToken => "access_token",
            ActorKind::Operator => "operator",
            ActorKind::Local => "local",
            ActorKind::Service => "service",
            ActorKind::Anonymous => "anonymous",
        };
        json::text(out, "kind", kind);
        if let Some(eoa) = &actor.eoa {
            json::text(out, "eoa", eoa);
        }
        if let Some(token) = &actor.token_id {
            json::text(out, "access_token", shortened(token));
        }
        if let Some(address) = &actor.address {
            json::text(out, "address", &address.to_string());
        }
        if let Some(LocalUser { uid, login, pid }) = &actor.local {
            json::number(out, "uid", u64::from(*uid));
            if let Some(login) = login {
                json::text(out, "login", shortened(login));
            }
            if let Some(pid) = pid {
                json::number(out, "pid", u64::from(*pid));
            }
        }
    });
}

fn key(out: &mut Vec<u8>, key: Option<&KeyRef>) {
    let Some(key) = key else { return };
    object(out, "key", |out| {
        json::text(out, "eoa", &key.eoa);
        json::text(out, "name", &key.name);
        if let Some(version) = key.version {
            json::number(out, "version", u64::from(version));
        }
        if let Some(id) = &key.id {
            json::text(out, "id", shortened(id));
        }
        if let Some(hash) = &key.public_key_hash {
            json::hash(out, "public_key_hash", hash);
        }
    });
}

fn input(out: &mut Vec<u8>, input: Option<&Input>) {
    let Some(input) = input else { return };
    object(out, "input", |out| match input {
        Input::Point(point) => {
            json::text(out, "kind", "point");
            for (member, coordinate) in ["x", "y"].into_iter().zip(point.as_chunks().0) {
                json::hash(out, member, coordinate);
            }
        }
        Input::Digest(digest) => {
            json::text(out, "kind", "digest");
            json::hash(out, "digest", digest);
        }
        Input::Typed { kind, digest, fields: values } => {
            json::text(out, "kind", kind);
            json::hash(out, "digest", digest);
            object(out, "fields", |out| fields(out, values));
        }
        Input::Fields(values) => {
            json::text(out, "kind", "fields");
            object(out, "fields", |out| fields(out, values));
        }
    });
}

fn fields(out: &mut Vec<u8>, values: &[(&'static str, Value)]) {
    for (member, value) in values {
        match value {
            Value::Text(value) => json::text(out, member, shortened(value)),
            Value::Number(value) => json::number(out, member, *value),
            Value::Bytes(value) => json::hex(out, member, value),
        }
    }
}

/// At most 512 bytes of a free text, cut at a character: a client must not fill the log.
fn shortened(text: &str) -> &str {
    text.get(..text.floor_char_boundary(512)).unwrap_or(text)
}
