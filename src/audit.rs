//! The audit log: no key is used before the record of that use is durable, and no record changes unnoticed afterwards.
//!
//! [`AuditLog`] hands records to one writer thread; [`AuditLog::record`] answers with a [`Recorded`] only after
//! `fdatasync`. On disk lie segments of Merkle-hashed frames of JSON lines (RFC 6962 hashing).
//!
//! What is found when somebody who owns the disk changes the log, by who holds what:
//!
//! | change | the files alone: `verify` | + public key: the checkpoints beside them | + the copy in an HSM, at start | + a checkpoint or receipt kept elsewhere | shown by |
//! |---|---|---|---|---|---|
//! | a flipped bit, a dropped, swapped, doubled or inserted record | located | located | refused, in the newest segment | located | `audit_tamper` |
//! | the same with all checksums, hashes and roots made anew | – | seen | seen | seen | `audit_checkpoint` |
//! | the tail cut off cleanly, back to the newest checkpoint | – | – | – | seen, with a receipt | `audit_checkpoint` |
//! | the tail cut off behind the newest checkpoint | – | seen | seen, past the copy | seen | `audit_checkpoint` |
//! | an older copy of the whole directory, checkpoint included | – | – | seen, past the copy (5 minutes) | seen | `service checkpoints::` |
//! | an older copy of the whole disk, SoftHSM's token included | – | – | – (SoftHSM only) | seen | `audit_checkpoint` |
//! | two histories for two readers | – | – | – | seen | `audit_checkpoint` |
//! | a new history signed with another key | – | seen | seen | seen | `audit_checkpoint` |
//! | a segment moved away | named as absent | named as absent | – | named as absent | `audit_compress` |
//!
//! Whoever is root while the service runs, token session and all, can have it sign and can stop it from recording; only
//! the policy of an HSM bounds that, and those who miss the checkpoint of each minute.
//!
//! When the process dies: before the sync, nothing was acknowledged, and a half-written frame is removed at the next
//! open; after the sync and before the answer, the intent is there and comes back as [`Unsettled`]; after the answer,
//! the same until the outcome is written. When a write or sync fails, nothing is signed until a new segment that
//! names the last acknowledged head is durable.
//!
//! Not for: deciding anything (that is `operation`), ordinary logs (`tracing`), secrets (a record never holds one).

mod answers;
mod appender;
mod chain;
mod checkpoint;
mod clock;
mod compress;
mod copy;
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
mod packed;
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
#[cfg(test)]
#[expect(clippy::duplicate_mod, reason = "the very source of the queue, over another lock")]
mod scheduled;
mod seal;
mod segment;
mod settings;
#[cfg(test)]
mod simulation;
mod sync;
mod verify;
mod walk;
mod writer;

pub use checkpoint::{CheckpointError, CheckpointSigner, KeyError, PublicKey, SignedCheckpoint, VerifierKey};
pub use compress::{Compressed, compress};
pub use copy::{Part, Parts, parts};
pub use export::{Filter, export};
pub use fault::{Damage, Fault, ReadError};
pub use lines::{Line, Lines, lines, tail};
pub use log::{AuditLog, Recordable, Recorded, Refused, Settlement};
pub use merkle::{Hash, leaf_hash};
pub use past::{Lost, Past, PastError};
pub use proof::{ConsistencyProof, InclusionProof, ProofError};
pub use publisher::{PublishError, Publishing, Show};
pub use recent::Page;
pub use record::{Actor, ActorKind, Event, Input, Intent, KeyRef, Outcome, RECORD_SCHEMA, Value};
pub use seal::checkpoint_files;
pub use settings::{AuditError, BootFacts, Head, LogId, LogIdError, OpenError, Receipt, Settings, Unsettled};
pub use verify::{Progress, Report, Unfinished, verify, verify_against, verify_with};
