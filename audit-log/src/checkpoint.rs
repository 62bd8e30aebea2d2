//! Signed tree heads (C2SP tlog-checkpoint), the stored hashes and proofs that go with them,
//! rollback detection.

pub(crate) mod first;
pub(crate) mod hash_index;
pub(crate) mod jsonl_mirror;
pub(crate) mod kept;
pub(crate) mod key;
pub(crate) mod proof;
pub(crate) mod publish_error;
pub(crate) mod publisher;
pub(crate) mod publisher_settings;
pub(crate) mod rollback;
pub(crate) mod segment_checkpoint;
pub(crate) mod signed;
pub(crate) mod sink;
pub(crate) mod statement;
