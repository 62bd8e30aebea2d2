//! What is answered. Members that a newer service adds are passed over.

use serde::Deserialize;

use crate::{Bytes, G1Point, G2Point};

/// A version of a key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct KeyRecord {
    /// Whose it is, EIP-55.
    pub eoa: String,
    /// Its name.
    pub name: String,
    /// `bn254`.
    pub curve: String,
    /// Its number, from 1.
    pub version: u32,
    /// `pending`, `active`, `retiring`, `retired`, `scheduled_destroy`, `destroyed` or `disabled`.
    pub state: String,
    /// The public key in G1.
    pub g1: G1Point,
    /// The public key in G2.
    pub g2: G2Point,
    /// Both, as `KeyRegistrar.registerKey` takes them.
    pub key_data: Bytes<192>,
    /// keccak256 of `g1`: operator id, key hash.
    pub operator_id: Bytes<32>,
    /// When it was made, unix seconds.
    pub created_at_unix: i64,
}

/// A key that was asked for, and whether this call made it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Created {
    /// The key.
    #[serde(flatten)]
    pub record: KeyRecord,
    /// `false`: it was there already.
    pub created: bool,
}

/// A key's current version and all of its versions, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Key {
    /// The current one.
    #[serde(flatten)]
    pub current: KeyRecord,
    /// All.
    pub versions: Vec<KeyRecord>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct KeyList {
    pub(crate) keys: Vec<KeyRecord>,
}

/// A signature, its key, and where the audit log recorded it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SignResult {
    /// σ = k·H.
    pub signature: G1Point,
    /// The public key in G1.
    pub g1: G1Point,
    /// The public key in G2.
    pub g2: G2Point,
    /// Whose key.
    pub eoa: String,
    /// Its name.
    pub name: String,
    /// The version that signed.
    pub version: u32,
    /// `x‖y` of the signature, as `KeyRegistrar.registerKey` takes it.
    pub signature_bytes: Bytes<64>,
    /// Both public keys, likewise.
    pub key_data: Bytes<192>,
    /// keccak256 of `g1`.
    pub operator_id: Bytes<32>,
    /// What was hashed to the curve; none where a point was signed as it came.
    pub digest: Option<Bytes<32>>,
    /// H, what was multiplied.
    pub hash: G1Point,
    /// The receipt.
    pub audit: AuditReceipt,
    /// The request's id in the service's log.
    pub request_id: String,
}

/// Where an operation stands in the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AuditReceipt {
    /// The number of its record.
    pub seq: u64,
    /// The id of the log.
    pub log: String,
    /// The leaf hash of its record.
    pub record_hash: Bytes<32>,
}

/// The newest signed head of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Checkpoint {
    /// The signed note, as C2SP's tlog-checkpoint has it.
    pub checkpoint: String,
    /// Records.
    pub size: u64,
    /// The Merkle root over them.
    pub root: Bytes<32>,
    /// The log's name in the note.
    pub origin: String,
    /// The key that checks the note.
    pub public_key: String,
}
