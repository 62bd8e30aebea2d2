//! Content of records: actor, operation, key, input and outcome. Plain values.
//!
//! Not for: bytes on disk (`encode`, `frame`), and never for a secret: no field takes a token, a
//! PIN, a request body or a scalar.

use std::net::SocketAddr;

/// The JSON Schema of version 2 of the records, which `avs-kms audit schema` prints.
pub const RECORD_SCHEMA: &str = include_str!("v2.schema.json");

/// The most bytes that one record may have.
pub(crate) const MAX_RECORD_BYTES: usize = 4096;

/// The most bytes of a body; with the longest prefix a record stays under 4 KiB.
pub(crate) const MAX_BODY_BYTES: usize = MAX_RECORD_BYTES - 160;

/// How the actor was authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActorKind {
    /// An access token.
    AccessToken,
    /// The signature of an EOA on this very request.
    Operator,
    /// The command line on the service's own machine.
    Local,
    /// The service itself: schedules, recovery.
    Service,
    /// Not at all: refused before or at authentication.
    Anonymous,
}

/// The actor of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// How it was authenticated.
    pub kind: ActorKind,
    /// Its account in EIP-55 form, if it is proven (or claimed, for [`ActorKind::Anonymous`]).
    pub eoa: Option<String>,
    /// The public id of the access token, never the token.
    pub token_id: Option<String>,
    /// The other end of the connection.
    pub address: Option<SocketAddr>,
    /// Who ran the command, for [`ActorKind::Local`].
    pub local: Option<LocalUser>,
}

/// Who ran a command on the service's own machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalUser {
    /// User id, as the kernel knows it.
    pub uid: u32,
    /// Login name, as the command says it.
    pub login: Option<String>,
    /// Process id, as the kernel knows it.
    pub pid: Option<u32>,
}

impl Actor {
    /// A client with an access token.
    pub fn token(eoa: Option<String>, token_id: impl Into<String>, address: Option<SocketAddr>) -> Self {
        Self { kind: ActorKind::AccessToken, eoa, token_id: Some(token_id.into()), address, local: None }
    }

    /// An operator who signed the request.
    pub const fn operator(eoa: String, address: Option<SocketAddr>) -> Self {
        Self { kind: ActorKind::Operator, eoa: Some(eoa), token_id: None, address, local: None }
    }

    /// The local command line.
    pub const fn local() -> Self {
        Self { kind: ActorKind::Local, eoa: None, token_id: None, address: None, local: None }
    }

    /// The service itself.
    pub const fn service() -> Self {
        Self { kind: ActorKind::Service, eoa: None, token_id: None, address: None, local: None }
    }

    /// A client without authentication.
    pub const fn anonymous(address: Option<SocketAddr>) -> Self {
        Self { kind: ActorKind::Anonymous, eoa: None, token_id: None, address, local: None }
    }
}

/// The key of an operation; fields that are not known yet stay empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRef {
    /// The owner, in EIP-55 form.
    pub eoa: String,
    /// Its name among the owner's keys.
    pub name: String,
    /// The number of the version.
    pub version: Option<u32>,
    /// Its id in the enclave, hex.
    pub id: Option<String>,
    /// SHA-256 or operator id of the public key: 32 bytes that name it.
    pub public_key_hash: Option<[u8; 32]>,
}

/// One public value in [`Input`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Public text.
    Text(String),
    /// A counter or unix seconds.
    Number(u64),
    /// Bytes, shown as hex.
    Bytes(Vec<u8>),
}

/// The input of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A G1 point to multiply: x ‖ y, big-endian.
    Point([u8; 64]),
    /// A digest to hash to the curve and multiply.
    Digest([u8; 32]),
    /// A typed message that the service hashed itself.
    Typed {
        /// Its type, e.g. `bls_apk_registry`.
        kind: &'static str,
        /// Its digest.
        digest: [u8; 32],
        /// Its fields, in the order of the record.
        fields: Vec<(&'static str, Value)>,
    },
    /// Parameters of an operation that signs nothing.
    Fields(Vec<(&'static str, Value)>),
}

/// Written and durable before a key is touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The operation's name in `snake_case`.
    pub operation: &'static str,
    /// The actor.
    pub actor: Actor,
    /// The request it belongs to.
    pub request: String,
    /// The key it concerns.
    pub key: Option<KeyRef>,
    /// Its input.
    pub input: Option<Input>,
}

/// How an operation whose intent was recorded ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// `ok` or an error code of the API.
    pub code: &'static str,
    /// SHA-256 of the signature that was made.
    pub signature_hash: Option<[u8; 32]>,
    /// Its time, microseconds.
    pub micros: u64,
    /// Public text for the reader of the log.
    pub detail: Option<String>,
}

impl Outcome {
    /// Success.
    pub const fn ok(micros: u64) -> Self {
        Self { code: "ok", signature_hash: None, micros, detail: None }
    }

    /// Failure with an error code of the API.
    pub const fn failed(code: &'static str, micros: u64) -> Self {
        Self { code, signature_hash: None, micros, detail: None }
    }

    /// For an intent of an earlier run whose end is unknown.
    pub const fn unknown() -> Self {
        Self { code: "outcome_unknown", signature_hash: None, micros: 0, detail: None }
    }
}

/// The store as it was when an outcome was recorded: what a later start compares the store with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreStamp {
    /// Number of the store's last change.
    pub counter: u64,
    /// Head of the hash chain over its changes.
    pub chain: [u8; 32],
    /// Root over its rows.
    pub root: [u8; 32],
    /// MAC of the store over the number of the intent and all of the above.
    pub mac: [u8; 32],
}

/// Makes the stamp for the outcome of the intent with this number, if one is due.
pub type Stamper = Box<dyn Fn(u64) -> Option<StoreStamp> + Send + Sync>;

/// An event without an intent: a refusal, a read, a change of the service's own state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The operation's name in `snake_case`.
    pub operation: &'static str,
    /// The actor.
    pub actor: Actor,
    /// The request it belongs to, if there was one.
    pub request: Option<String>,
    /// The key it concerns.
    pub key: Option<KeyRef>,
    /// Its input.
    pub input: Option<Input>,
    /// `ok` or an error code of the API.
    pub code: &'static str,
}

/// The program that opens the log, for its start record.
#[derive(Clone, Debug)]
pub struct BuildInfo {
    /// The version of the program.
    pub version: String,
    /// SHA-256 of its effective configuration without secrets.
    pub config_digest: [u8; 32],
    /// Id of the installation whose log it is, 32 hex digits.
    pub installation: Option<String>,
}
