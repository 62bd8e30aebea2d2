//! The durable end of a log, and the place of one record in it.

use crate::format::log_id::LogId;
use crate::format::merkle::Hash;

/// The place of a durable record; part of the response to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its number in the log, from 0.
    pub seq: u64,
    /// The log.
    pub log: LogId,
    /// SHA-256(0x00 ‖ record).
    pub record_hash: Hash,
}

/// The durable end of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The log.
    pub log: LogId,
    /// Number of records; the number of the last one is one less.
    pub size: u64,
    /// The hash of the last record; zeros in an empty log.
    pub record_hash: Hash,
    /// The RFC 6962 root over all records.
    pub root: Hash,
}
