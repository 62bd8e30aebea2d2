//! The forms of values and bodies, for the description alone: `form` and `body` are what reads them.
#![allow(dead_code, reason = "described, never made")]

use serde::{Deserialize, Serialize};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// An address: any letter case, `0x` optional; a mixed-case one must have a right EIP-55 checksum. Answered in EIP-55 form.
#[derive(Deserialize, ToSchema)]
#[schema(value_type = String, pattern = "^(0[xX])?[0-9a-fA-F]{40}$", example = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")]
pub(crate) struct AddressText(String);

/// An address in EIP-55 form.
#[derive(Serialize, ToSchema)]
#[schema(value_type = String, pattern = "^0x[0-9a-fA-F]{40}$", example = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")]
pub(crate) struct Address(String);

/// 32 bytes of hex; `0x` optional.
#[derive(Deserialize, ToSchema)]
#[schema(value_type = String, pattern = "^(0[xX])?[0-9a-fA-F]{64}$", example = "0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd46")]
pub(crate) struct Hex32Text(String);

/// 32 bytes, big-endian, lower case.
#[derive(Serialize, ToSchema)]
#[schema(value_type = String, pattern = "^0x[0-9a-f]{64}$", example = "0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd46")]
pub(crate) struct Hex32(String);

/// 64 bytes, `x` then `y`, lower case.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^0x[0-9a-f]{128}$")]
pub(crate) struct Hex64(String);

/// 192 bytes, the KeyRegistrar form `g1.x g1.y g2.x[0] g2.x[1] g2.y[0] g2.y[1]`, lower case.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^0x[0-9a-f]{384}$")]
pub(crate) struct KeyData(String);

/// The id of a request, in every answer's header `x-request-id`, too.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^req_[0-9a-f]{32}$", example = "req_3f2a9c0d4b5e6f708192a3b4c5d6e7f8")]
pub(crate) struct RequestIdText(String);

/// The name of a key among those of its EOA.
#[derive(Deserialize, ToSchema)]
#[schema(value_type = String, pattern = "^[a-z0-9._-]{1,64}$", example = "default")]
pub(crate) struct NameText(String);

/// RFC 3339, UTC.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$", example = "2026-11-25T12:00:00Z")]
pub(crate) struct TimeText(String);

/// What state a version of a key is in.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum State {
    Pending,
    Active,
    Retiring,
    Retired,
    Disabled,
    ScheduledDestroy,
    Destroyed,
}

/// Which version of a key.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum VersionText {
    Number(VersionNumber),
    Word(VersionWord),
}

/// From 1.
#[derive(Deserialize)]
pub(crate) struct VersionNumber(u32);

// The macro takes bounds for members alone.
impl PartialSchema for VersionNumber {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new().schema_type(Type::Integer).description(Some("From 1"));
        number.minimum(Some(1)).maximum(Some(u32::MAX as usize)).into()
    }
}

impl ToSchema for VersionNumber {}

/// `current` is the active one, `next` the newest pending one.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum VersionWord {
    Current,
    Next,
}

/// A point of G1: its coordinates, in either letter case, or 64 bytes `x` then `y`, such as an `eth_call` gives.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum PointText {
    Lower(LowerPoint),
    Upper(UpperPoint),
    Bytes(Hex64Text),
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LowerPoint {
    x: Hex32Text,
    y: Hex32Text,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpperPoint {
    #[serde(rename = "X")]
    x: Hex32Text,
    #[serde(rename = "Y")]
    y: Hex32Text,
}

/// 64 bytes of hex; `0x` optional.
#[derive(Deserialize, ToSchema)]
#[schema(value_type = String, pattern = "^(0[xX])?[0-9a-fA-F]{128}$")]
pub(crate) struct Hex64Text(String);

/// The one curve.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Curve {
    Bn254,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateKeyBody {
    eoa: AddressText,
    name: Option<NameText>,
    curve: Option<Curve>,
    /// Of a new key.
    policy: Option<PolicyText>,
    /// Of a new key.
    binding: Option<BindingText>,
}

/// Where a version will be registered: once, for ever. `avs` and `operator_set_id` belong to `key_registrar`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BindingText {
    registry: RegistryWord,
    #[schema(minimum = 0, maximum = 9223372036854775807_usize)]
    chain_id: u64,
    verifying_contract: AddressText,
    avs: Option<AddressText>,
    #[schema(minimum = 0, maximum = 4294967295_usize)]
    operator_set_id: Option<u32>,
    operator: Option<AddressText>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RegistryWord {
    BlsApkRegistry,
    KeyRegistrar,
}

/// Why, for the audit log.
#[derive(Deserialize, ToSchema)]
#[schema(value_type = String, pattern = r"^[^\u0000-\u001f\u007f-\u009f]{1,200}$")]
pub(crate) struct ReasonText(String);

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateBody {
    eoa: AddressText,
    name: Option<NameText>,
    /// The number that the next version is to have.
    version: Option<VersionNumber>,
    /// As the current version where it is left out.
    binding: Option<BindingText>,
    reason: Option<ReasonText>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeBody {
    eoa: AddressText,
    name: Option<NameText>,
    version: Option<VersionText>,
    reason: Option<ReasonText>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DestroyBody {
    eoa: AddressText,
    name: Option<NameText>,
    version: VersionText,
    /// At least 7, 30 where it is left out.
    #[schema(minimum = 7, maximum = 3653)]
    after_days: Option<u32>,
    reason: Option<ReasonText>,
}

/// A key's name, or `*` for every key of the EOA.
#[derive(Deserialize, ToSchema)]
#[schema(value_type = String, pattern = "^([a-z0-9._-]{1,64}|[*])$")]
pub(crate) struct KeysText(String);

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RetireOnWord {
    Confirmed,
    Overlap,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScheduleBody {
    eoa: AddressText,
    name: Option<KeysText>,
    /// 0 ends the schedule.
    #[schema(minimum = 0, maximum = 3653)]
    every_days: u32,
    #[schema(minimum = 0, maximum = 3652)]
    announce_days: Option<u32>,
    #[schema(minimum = 0, maximum = 3653)]
    overlap_days: Option<u32>,
    activate: Option<bool>,
    retire_on: Option<RetireOnWord>,
    #[schema(minimum = 0, maximum = 87672)]
    jitter_hours: Option<u32>,
    reason: Option<ReasonText>,
}

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

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScalarMulBody {
    eoa: AddressText,
    name: Option<NameText>,
    version: Option<VersionText>,
    hash: PointText,
    /// Instead of `version`: the version that was current then, unix seconds.
    #[schema(minimum = 0, maximum = 4294967295_usize)]
    reference_timestamp: Option<u32>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignDigestBody {
    eoa: AddressText,
    name: Option<NameText>,
    version: Option<VersionText>,
    digest: Hex32Text,
    /// Instead of `version`: the version that was current then, unix seconds.
    #[schema(minimum = 0, maximum = 4294967295_usize)]
    reference_timestamp: Option<u32>,
}

/// What registers the key with one of EigenLayer's two registries.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum SignRegistrationBody {
    BlsApkRegistry(ApkRegistration),
    KeyRegistrar(RegistrarRegistration),
    AsBound(BoundRegistration),
}

/// At the place that the version is bound to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BoundRegistration {
    eoa: AddressText,
    name: Option<NameText>,
    version: Option<VersionText>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApkRegistration {
    eoa: AddressText,
    name: Option<NameText>,
    version: Option<VersionText>,
    #[schema(minimum = 0, maximum = 18446744073709551615_usize)]
    chain_id: u64,
    registry: BlsApkRegistry,
    verifying_contract: AddressText,
    operator: Option<AddressText>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegistrarRegistration {
    eoa: AddressText,
    name: Option<NameText>,
    version: Option<VersionText>,
    #[schema(minimum = 0, maximum = 18446744073709551615_usize)]
    chain_id: u64,
    registry: KeyRegistrar,
    verifying_contract: AddressText,
    avs: AddressText,
    #[schema(minimum = 0, maximum = 4294967295_usize)]
    operator_set_id: u32,
    operator: Option<AddressText>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BlsApkRegistry {
    BlsApkRegistry,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyRegistrar {
    KeyRegistrar,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignCertificateBody {
    eoa: AddressText,
    name: Option<NameText>,
    version: Option<VersionText>,
    #[schema(minimum = 0, maximum = 4294967295_usize)]
    reference_timestamp: u32,
    message_hash: Hex32Text,
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

/// What a token allows.
#[derive(Deserialize, ToSchema)]
pub(crate) enum ScopeText {
    #[serde(rename = "keys:read")]
    KeysRead,
    #[serde(rename = "keys:create")]
    KeysCreate,
    #[serde(rename = "keys:rotate")]
    KeysRotate,
    #[serde(rename = "keys:destroy")]
    KeysDestroy,
    #[serde(rename = "sign:point")]
    SignPoint,
    #[serde(rename = "sign:digest")]
    SignDigest,
    #[serde(rename = "sign:typed")]
    SignTyped,
    #[serde(rename = "audit:read")]
    AuditRead,
}

/// A way of signing.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SigningText {
    Point,
    Digest,
    Typed,
}

/// What a key allows; what is left out is not restricted.
#[derive(Deserialize, ToSchema)]
#[schema(as = Policy)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyText {
    #[schema(max_items = 64)]
    signing: Option<Vec<SigningText>>,
    /// Source networks, such as `10.0.0.0/8`.
    #[schema(max_items = 64)]
    networks: Option<Vec<String>>,
    /// Signatures per minute.
    #[schema(minimum = 1, maximum = 4294967295_usize)]
    per_minute: Option<u32>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskChallengeBody {
    eoa: AddressText,
    /// At least one; reading, creating and typed signing where it is left out.
    #[schema(min_items = 1, max_items = 64)]
    scopes: Option<Vec<ScopeText>>,
    /// 900 where it is left out; the service has a ceiling, one hour unless configured.
    #[schema(minimum = 1, maximum = 4294967295_usize)]
    ttl_seconds: Option<u32>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnswerChallengeBody {
    challenge_id: String,
    /// Over `message` by EIP-191 or over `typed_data` by EIP-712.
    #[schema(pattern = "^(0[xX])?([0-9a-fA-F]{2}){1,8192}$")]
    signature: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Empty {}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Method {
    Get,
    Post,
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
