//! Wrapped scalars: the record, the scheme that seals and opens it, the key that wraps it, and the objects in the token.
//! Not for threads, queues or recovery.
//!
//! A clear scalar exists only as an [`UnwrappedScalar`] guard on a slot; dropping it wipes the slot.

mod derived;
mod gcm;
mod kek;
mod key_wrap;
mod oaep;
mod object;
mod prepared;
mod probe;
mod record;
mod scalar;
mod scheme;
mod sealing;
mod seed;
mod stored;

#[cfg(test)]
pub(crate) use derived::key_for_test;
#[cfg(test)]
pub(crate) use kek::KekKind;
pub(crate) use kek::{Kek, KekError};
pub(crate) use object::{Template, TokenRecords, data_value, destroy, find_data};
pub(crate) use probe::{NoScheme, ProbeError, probe, probe_key, probe_session_key};
pub use record::endorsement::RECORD_CONTEXT;
pub(crate) use record::{Header, Payload, RecordError, WrappedKey, kek_named_in};
pub(crate) use scalar::{Fingerprint, GenerateError, UnwrappedScalar, UseError};
pub(crate) use scheme::{PLAIN_LEN, Scheme, SealError, UnwrapError};
pub(crate) use sealing::{open, seal, seal_known};
pub(crate) use stored::{EntryKind, find_labelled, key_label, scan, store};
