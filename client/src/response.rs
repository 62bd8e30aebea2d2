//! Response bodies. Unknown members of a newer service are ignored.

use serde::Deserialize;

use crate::hex::Bytes;
use crate::point::{G1Point, G2Point};

/// A version of a key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct KeyRecord {
    /// Owner address, EIP-55.
    pub eoa: String,
    /// Name of the key among the keys of the owner.
    pub name: String,
    /// `bn254`.
    pub curve: String,
    /// Version number, from 1.
    pub version: u32,
    /// `pending`, `active`, `retiring`, `retired`, `destroy_scheduled`, `destroyed` or `disabled`.
    pub state: String,
    /// The public key in G1.
    pub g1: G1Point,
    /// The public key in G2.
    pub g2: G2Point,
    /// Both, as `KeyRegistrar.registerKey` takes them.
    pub key_data: Bytes<192>,
    /// keccak256 of `g1`: the operator id of a `BLSApkRegistry`, the key hash of the
    /// `KeyRegistrar`.
    pub operator_id: Bytes<32>,
    /// Time of creation, unix seconds.
    pub created_at_unix: i64,
}

/// The requested key, and whether this call created it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Created {
    /// The key.
    #[serde(flatten)]
    pub record: KeyRecord,
    /// `false` if the key existed already.
    pub created: bool,
}

/// The current version of a key and all of its versions, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Key {
    /// The current version.
    #[serde(flatten)]
    pub current: KeyRecord,
    /// All versions, newest first.
    pub versions: Vec<KeyRecord>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct KeyList {
    pub(crate) keys: Vec<KeyRecord>,
    pub(crate) next: Option<String>,
}

/// A key with a page of its versions.
#[derive(Debug, Deserialize)]
pub(crate) struct KeyPage {
    #[serde(flatten)]
    pub(crate) key: Key,
    pub(crate) next: Option<u32>,
}

/// A signature, its key, and its receipt from the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SignResult {
    /// σ = k·H.
    pub signature: G1Point,
    /// The public key in G1.
    pub g1: G1Point,
    /// The public key in G2.
    pub g2: G2Point,
    /// Owner of the key, EIP-55.
    pub eoa: String,
    /// Name of the key.
    pub name: String,
    /// The version that signed.
    pub version: u32,
    /// `x‖y` of the signature, as `KeyRegistrar.registerKey` takes it.
    pub signature_bytes: Bytes<64>,
    /// Both public keys, likewise.
    pub key_data: Bytes<192>,
    /// keccak256 of `g1`.
    pub operator_id: Bytes<32>,
    /// The digest that was hashed to the curve; `None` if the request named a point.
    pub digest: Option<Bytes<32>>,
    /// H, the point that was multiplied.
    pub hash: G1Point,
    /// Receipt of the audit log.
    pub audit: AuditReceipt,
    /// Request id in the logs of the service.
    pub request_id: String,
}

/// Position of an operation in the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AuditReceipt {
    /// Sequence number of the record.
    pub seq: u64,
    /// Id of the log.
    pub log: String,
    /// Leaf hash of the record.
    pub record_hash: Bytes<32>,
}

/// The newest signed tree head of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Checkpoint {
    /// Signed note (C2SP tlog-checkpoint).
    pub checkpoint: String,
    /// Number of records.
    pub size: u64,
    /// Merkle root over these records (RFC 6962).
    pub root: Bytes<32>,
    /// Origin line of the note.
    pub origin: String,
    /// Public key that verifies the note.
    pub public_key: String,
}
