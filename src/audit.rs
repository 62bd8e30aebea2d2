//! The audit log: no key is used before the record of that use is durable, and no record changes unnoticed afterwards.
//!
//! [`AuditLog`] hands records to one writer thread; [`AuditLog::record`] answers with a [`Recorded`] only after
//! `fdatasync`. On disk lie segments of Merkle-hashed frames of JSON lines (RFC 6962 hashing).
//!
//! What each kind of check finds, when somebody who owns the disk changes the log:
//!
//! | change | `verify` alone | + checkpoint and public key | + checkpoint kept elsewhere, or a receipt |
//! |---|---|---|---|
//! | a flipped bit, a dropped, swapped, doubled or inserted record | located | located | located |
//! | the same with all checksums, hashes and roots made anew | not seen | seen | seen |
//! | the tail cut off cleanly | not seen | seen, back to the checkpoint | seen |
//! | an older copy of the whole directory, checkpoint included | not seen | not seen | seen |
//! | a new history signed with another key | not seen | seen | seen |
//! | a segment moved away | reported as absent | reported as absent | reported as absent |
//!
//! When the process dies: before the sync, nothing was acknowledged, and a half-written frame is removed at the next
//! open; after the sync and before the answer, the intent is there and comes back as [`Unsettled`]; after the answer,
//! the same until the outcome is written. When a write or sync fails, nothing is signed until a new segment that
//! names the last acknowledged head is durable.
//!
//! Not for: deciding anything (that is `operation`), ordinary logs (`tracing`), secrets (a record never holds one).

mod appender;
mod chain;
mod checkpoint;
mod disk;
mod export;
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
mod past;
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
pub use export::{Filter, export};
pub use fault::{Damage, Fault, ReadError};
pub use lines::{Line, Lines, lines, tail};
pub use log::{AuditLog, Recordable, Recorded, Refused, Settlement};
pub use merkle::{Hash, leaf_hash};
pub use past::{Lost, Past, PastError};
pub use proof::{ConsistencyProof, InclusionProof, ProofError};
pub use publisher::{PublishError, Publishing, Show};
pub use recent::Page;
pub use record::{Actor, ActorKind, Event, Input, Intent, KeyRef, Outcome, Value};
pub use settings::{AuditError, BootFacts, Head, LogId, LogIdError, OpenError, Receipt, Settings, Unsettled};
pub use verify::{Progress, Report, Unfinished, verify, verify_against, verify_with};
