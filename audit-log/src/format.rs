//! The bytes on disk: records, frames, segment headers, Merkle hashes, names of files. Pure
//! functions; imports nothing else of the crate.

pub(crate) mod bytes;
pub(crate) mod corruption;
pub(crate) mod encode;
pub(crate) mod frame;
pub(crate) mod head;
pub(crate) mod json;
pub(crate) mod known_head;
pub(crate) mod log_id;
pub(crate) mod merkle;
pub(crate) mod names;
pub(crate) mod record;
pub(crate) mod segment;
pub(crate) mod time;
pub(crate) mod view;
