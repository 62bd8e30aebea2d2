//! What a record says: who did what to which key, and how it ended. Plain values.
//!
//! Not for: bytes on disk (`encode` below, `frame`), and never for a secret: no field takes a token, a PIN, a request
//! body or a scalar.

use std::net::SocketAddr;

/// The JSON Schema of version 2 of the records, which `avs-kms audit schema` prints.
pub const RECORD_SCHEMA: &str = include_str!("v2.schema.json");

/// The most bytes that one record may have.
pub(crate) const MAX_RECORD_BYTES: usize = 4096;

/// The most bytes of a body; with the longest prefix a record stays under 4 KiB.
pub(crate) const MAX_BODY_BYTES: usize = MAX_RECORD_BYTES - 160;

/// How the one who acts proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActorKind {
    /// A bearer token.
    Token,
    /// The signature of an EOA on this very request.
    Operator,
    /// The command line on the service's own machine.
    Local,
    /// The service itself: schedules, recovery.
    Service,
    /// Nobody yet: refused before or at authentication.
    Anonymous,
}

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// How they proved it.
    pub kind: ActorKind,
    /// Their account in EIP-55 form, if it is proven (or claimed, for [`ActorKind::Anonymous`]).
    pub eoa: Option<String>,
    /// The public id of the bearer token, never the token.
    pub token_id: Option<String>,
    /// Where the connection came from.
    pub address: Option<SocketAddr>,
}

impl Actor {
    /// The bearer of a token.
    pub fn token(eoa: Option<String>, token_id: impl Into<String>, address: Option<SocketAddr>) -> Self {
        Self { kind: ActorKind::Token, eoa, token_id: Some(token_id.into()), address }
    }

    /// The holder of an EOA who signed the request.
    pub const fn operator(eoa: String, address: Option<SocketAddr>) -> Self {
        Self { kind: ActorKind::Operator, eoa: Some(eoa), token_id: None, address }
    }

    /// The local command line.
    pub const fn local() -> Self {
        Self { kind: ActorKind::Local, eoa: None, token_id: None, address: None }
    }

    /// The service itself.
    pub const fn service() -> Self {
        Self { kind: ActorKind::Service, eoa: None, token_id: None, address: None }
    }

    /// Somebody who proved nothing.
    pub const fn anonymous(address: Option<SocketAddr>) -> Self {
        Self { kind: ActorKind::Anonymous, eoa: None, token_id: None, address }
    }
}

/// Which key an operation concerns; fields that are not known yet stay empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRef {
    /// The owner, in EIP-55 form.
    pub eoa: String,
    /// Its name among the owner's keys.
    pub name: String,
    /// The version that is used.
    pub version: Option<u32>,
    /// The enclave's id of it, hex.
    pub id: Option<String>,
    /// SHA-256 or operator id of the public key: 32 bytes that name it.
    pub public_key_hash: Option<[u8; 32]>,
}

/// One public value in [`Input`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Public words.
    Text(String),
    /// A counter or unix seconds.
    Number(u64),
    /// Bytes, shown as hex.
    Bytes(Vec<u8>),
}

/// What the operation was asked to work on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A G1 point to multiply: x ‖ y, big-endian.
    Point([u8; 64]),
    /// A digest to hash to the curve and multiply.
    Digest([u8; 32]),
    /// A typed message that the service hashed itself.
    Typed {
        /// Which type, e.g. `bls_apk_registry`.
        kind: &'static str,
        /// Its digest.
        digest: [u8; 32],
        /// What it says, in the order to be recorded.
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
    /// Who asks.
    pub actor: Actor,
    /// The request it belongs to.
    pub request: String,
    /// The key it concerns.
    pub key: Option<KeyRef>,
    /// What it works on.
    pub input: Option<Input>,
}

/// How an operation whose intent was recorded ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// `ok` or a code of api.md.
    pub code: &'static str,
    /// SHA-256 of the signature that was made.
    pub signature_hash: Option<[u8; 32]>,
    /// How long it took, microseconds.
    pub micros: u64,
    /// Public words for the reader of the log.
    pub detail: Option<String>,
}

impl Outcome {
    /// It worked.
    pub const fn ok(micros: u64) -> Self {
        Self { code: "ok", signature_hash: None, micros, detail: None }
    }

    /// It failed with a code of api.md.
    pub const fn failed(code: &'static str, micros: u64) -> Self {
        Self { code, signature_hash: None, micros, detail: None }
    }

    /// For an intent of an earlier run of which nobody knows how it ended.
    pub const fn unknown() -> Self {
        Self { code: "outcome_unknown", signature_hash: None, micros: 0, detail: None }
    }
}

/// Something that happened and has no intent: a refusal, a read, a change of the service's own state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The operation's name in `snake_case`.
    pub operation: &'static str,
    /// Who asked.
    pub actor: Actor,
    /// The request it belongs to, if there was one.
    pub request: Option<String>,
    /// The key it concerns.
    pub key: Option<KeyRef>,
    /// What it was about.
    pub input: Option<Input>,
    /// `ok` or a code of api.md.
    pub code: &'static str,
}

/// What the start record says about the program that opened the log.
#[derive(Clone, Debug)]
pub struct BuildInfo {
    /// The version of the program.
    pub version: String,
    /// SHA-256 of its effective configuration, secrets left out.
    pub config_digest: [u8; 32],
}
