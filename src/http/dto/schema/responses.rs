//! The bodies of answers, where no type of a handler is the body. Not for values: `super`.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Address, Hex32, RequestIdText};

/// A schedule as it holds; its rules are absent where there is none.
#[derive(Serialize, ToSchema)]
pub(crate) struct ScheduleSet {
    eoa: Address,
    name: String,
    scheduled: bool,
    every_days: Option<u32>,
    announce_days: Option<u32>,
    overlap_days: Option<u32>,
    activate: Option<bool>,
    retire_on: Option<String>,
    jitter_hours: Option<u32>,
    warning: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct SchedulePage {
    eoa: Address,
    keys: Vec<ScheduledKey>,
}

/// A key and what comes next for it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ScheduledKey {
    name: String,
    current: u32,
    scheduled: bool,
    every_days: Option<u32>,
    announce_days: Option<u32>,
    overlap_days: Option<u32>,
    activate: Option<bool>,
    retire_on: Option<String>,
    jitter_hours: Option<u32>,
    announce_at: Option<String>,
    announce_at_unix: Option<i64>,
    due_at: Option<String>,
    due_at_unix: Option<i64>,
    ends: Vec<VersionEnd>,
}

/// When a version is retired by the schedule at the earliest, or destroyed.
#[derive(Serialize, ToSchema)]
pub(crate) struct VersionEnd {
    version: u32,
    state: String,
    at: String,
    at_unix: i64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct EventPage {
    events: Vec<KeyEvent>,
    next: u64,
}

/// What happened to a version: the same in a webhook.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyEvent {
    seq: u64,
    #[serde(rename = "type")]
    kind: String,
    eoa: Address,
    name: String,
    version: u32,
    at: String,
    at_unix: i64,
    operator_id: Hex32,
    state: String,
    due_at: Option<String>,
    destroy_at: Option<String>,
    reason: Option<String>,
}

/// A failure: one sentence for a person, one word for a program.
#[derive(ToSchema)]
#[schema(as = Error)]
pub(crate) struct ErrorShape {
    error: String,
    code: String,
    request_id: RequestIdText,
    /// The member at fault.
    field: Option<String>,
    /// When a repetition may help, milliseconds.
    retry_after_ms: Option<u64>,
}

#[derive(ToSchema)]
pub(crate) struct Checkpoint {
    /// A signed note in C2SP form.
    checkpoint: String,
    /// Records that it covers.
    size: u64,
    root: Hex32,
    origin: String,
    public_key: String,
}

/// A record's inclusion in the newest checkpoint (`seq`), or the consistency of two sizes (`from`, `to`).
#[derive(Serialize, ToSchema)]
#[schema(as = Proof)]
#[serde(untagged)]
pub(crate) enum ProofShape {
    Inclusion(Inclusion),
    Consistency(Consistency),
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Inclusion {
    seq: u64,
    record_hash: Hex32,
    hashes: Vec<Hex32>,
    size: u64,
    root: Hex32,
    checkpoint: String,
    /// The same as a C2SP tlog-proof.
    proof: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Consistency {
    from: u64,
    from_root: Hex32,
    to: u64,
    to_root: Hex32,
    hashes: Vec<Hex32>,
}

#[derive(ToSchema)]
pub(crate) struct Health {
    status: String,
}

#[derive(ToSchema)]
pub(crate) struct Ready {
    status: String,
    workers: u64,
    queue_depth: u64,
    audit: AuditHead,
}

#[derive(ToSchema)]
pub(crate) struct AuditHead {
    log: String,
    size: u64,
}

#[derive(ToSchema)]
pub(crate) struct Version {
    name: String,
    version: String,
    api: String,
}

#[derive(ToSchema)]
pub(crate) struct Revoked {
    revoked: bool,
}

/// What to sign for one request of one's own, and the header that carries the signature.
#[derive(ToSchema)]
pub(crate) struct ToSign {
    #[schema(value_type = Object)]
    typed_data: (),
    issued: u64,
    expires: u64,
    nonce: Hex32,
    authorization: String,
}
