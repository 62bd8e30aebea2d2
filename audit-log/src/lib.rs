//! Audit log: no key is used before the record of that use is durable, and no record changes
//! unnoticed afterwards.
//!
//! [`AuditLog`] passes records to one writer thread. [`AuditLog::record`] returns a [`Recorded`]
//! only after `fdatasync`. The disk holds segments of Merkle-hashed frames of JSON lines (RFC 6962
//! hashing).
//!
//! The folders, lowest first; each imports from those before it only:
//!
//! ```text
//! format < storage < read < write | checkpoint | maintenance < verify | log
//! ```
//!
//! What an auditor finds after the owner of the disk changed the log, by what the auditor has:
//!
//! | change | the files alone: `verify` | + public key: their signatures | + the copy in an HSM, at start | + a checkpoint or receipt kept elsewhere | shown by |
//! |---|---|---|---|---|---|
//! | a flipped bit, a dropped, swapped, doubled or inserted record | located | located | refused, in the newest segment | located | `log tamper::` |
//! | the same with all checksums, hashes and roots recomputed | – | seen | seen | seen | `log checkpoints::proofs::` |
//! | the tail cut off cleanly, back to the newest checkpoint | – | – | – | seen, with a receipt | `log checkpoints::proofs::` |
//! | the tail cut off behind the newest checkpoint | seen | seen | seen | seen | `log checkpoints::rewritten::` |
//! | the same, and all checkpoints deleted | missing: named | refused | seen, past the copy; refused without one | seen | `log checkpoints::rewritten::`, `service rewritten_log::` |
//! | an older copy of the whole directory, checkpoint included | – | – | seen, past the copy (5 minutes) | seen | `service checkpoints::` |
//! | the same, and the copy in the HSM deleted | – | – | refused without one | seen | `service rewritten_log::` |
//! | an older copy of the whole disk, SoftHSM's token included | – | – | – (SoftHSM only) | seen | `log checkpoints::proofs::` |
//! | two histories for two readers | – | – | – | seen | `log checkpoints::proofs::` |
//! | a new history signed with another key | – | seen | seen | seen | `log checkpoints::proofs::` |
//! | a head past the last change of the checkpoint key, signed with the old key | – | seen | seen | seen | `log checkpoints::key_change::` |
//! | a segment moved away | named as absent | named as absent | – | named as absent | `log compress::` |
//!
//! An attacker who is root while the service runs has its token session too: they can have it sign,
//! and can stop it from recording. Only the policy of an HSM limits that, and readers who miss the
//! next checkpoint (each second while there are records, each minute otherwise) notice it.
//!
//! If the process dies before the sync, nothing was acknowledged, and the next open removes the
//! partial frame. If it dies after the sync, the intent is in the log, and the next open returns it
//! as an [`OpenIntent`] until its outcome is written. When a write or sync fails, nothing is signed
//! until a new segment that names the last acknowledged head is durable.
//!
//! Not for: decisions (`service`), ordinary logs (`tracing`), secrets (a record never holds one).

mod checkpoint;
mod durable_head;
mod error;
mod format;
mod log;
mod maintenance;
pub mod metrics;
mod read;
mod settings;
mod storage;
#[cfg(test)]
mod testing;
mod verify;
mod write;

pub use checkpoint::kept::detect_rollback_of;
pub use checkpoint::key::{KeyError, PublicKey, VerifierKey};
pub use checkpoint::proof::{ConsistencyProof, InclusionProof, ProofError};
pub use checkpoint::publish_error::PublishError;
pub use checkpoint::publisher_settings::PublisherSettings;
pub use checkpoint::rollback::RollbackDetected;
pub use checkpoint::signed::{CheckpointError, CheckpointSigner, SignedCheckpoint};
pub use checkpoint::sink::{CheckpointSink, SinkError};
pub use checkpoint::statement::StatementKind;
pub use checkpoint::statement::key_change::{KeyChange, checkpoint_keys};
pub use error::{AuditError, OpenError};
pub use format::corruption::{Corruption, CorruptionKind, ReadError};
pub use format::head::{Head, Receipt};
pub use format::json::hash_text;
pub use format::known_head::{KnownHead, ParseHeadError};
pub use format::log_id::{LogId, LogIdError};
pub use format::merkle::{Hash, leaf_hash};
pub use format::record::{
    Actor, ActorKind, BuildInfo, Event, Input, Intent, KeyRef, LocalUser, Outcome, RECORD_SCHEMA, Stamper,
    StoreStamp, Value,
};
pub use log::AuditLog;
pub use log::reads::FoundRecord;
pub use log::recorded::{NotRecorded, OutcomeGuard, Recordable, Recorded};
pub use maintenance::compress::{Compressed, compress};
pub use maintenance::snapshot::{Snapshot, SnapshotFile, snapshot};
pub use read::export::{Filter, export};
pub use read::lines::{Line, Lines, lines, tail};
pub use read::page::Page;
pub use read::store_stamp::FoundStamp;
pub use settings::Settings;
pub use verify::command::VerifyOptions;
pub use verify::files::{VerifyError, public_key_in};
pub use verify::report::{Soundness, Verdict};
pub use verify::verifier::{Progress, Report, TornTail, verify, verify_against, verify_with};
pub use write::recovery::OpenIntent;
