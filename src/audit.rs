//! The audit log: no key is used before the record of that use is durable, and no record changes unnoticed afterwards.
//!
//! [`AuditLog`] hands records to one writer thread; [`AuditLog::record`] answers with a [`Recorded`] only after
//! `fdatasync`. On disk lie segments of Merkle-hashed frames of JSON lines (RFC 6962 hashing).
//! Not for: deciding anything (that is `operation`), ordinary logs (`tracing`), secrets (a record never holds one).

mod appender;
mod json;
mod log;
mod merkle;
mod queue;
mod record;
mod settings;
mod writer;

pub use log::{AuditLog, Recordable, Recorded, Refused, Settlement};
pub use merkle::{Hash, leaf_hash};
pub use record::{Actor, ActorKind, Event, Input, Intent, KeyRef, Outcome, Value};
pub use settings::{AuditError, BootFacts, Head, LogId, OpenError, Receipt, Settings, Unsettled};
