//! The audit log: no key is used before the record of that use is durable, and no record changes unnoticed afterwards.
//!
//! [`AuditLog`] hands records to one writer thread; [`AuditLog::record`] answers with a [`Recorded`] only after
//! `fdatasync`. On disk lie segments of Merkle-hashed frames of JSON lines (RFC 6962 hashing).
//! Not for: deciding anything (that is `operation`), ordinary logs (`tracing`), secrets (a record never holds one).

mod appender;
mod chain;
mod checkpoint;
mod disk;
mod fault;
mod fields;
mod file;
mod frame;
mod index;
mod json;
mod lines;
mod log;
mod merkle;
mod mirror;
mod proof;
mod published;
mod publisher;
mod queue;
mod read;
mod recent;
mod record;
mod recovery;
mod rotation;
mod segment;
mod settings;
#[cfg(test)]
mod simulation;
mod verify;
mod walk;
mod writer;

pub use checkpoint::{CheckpointError, CheckpointSigner, KeyError, PublicKey, SignedCheckpoint, VerifierKey};
pub use fault::{Damage, Fault, ReadError};
pub use lines::{Line, Lines, lines, tail};
pub use log::{AuditLog, Recordable, Recorded, Refused, Settlement};
pub use merkle::{Hash, leaf_hash};
pub use proof::{ConsistencyProof, InclusionProof, ProofError};
pub use publisher::{PublishError, Publishing, Show};
pub use recent::Page;
pub use record::{Actor, ActorKind, Event, Input, Intent, KeyRef, Outcome, Value};
pub use settings::{AuditError, BootFacts, Head, LogId, OpenError, Receipt, Settings, Unsettled};
pub use verify::{Progress, Report, Unfinished, verify, verify_against, verify_with};
