//! Signed tree heads (C2SP tlog-checkpoint), the stored hashes and proofs that go with them,
//! rollback detection.

pub(crate) mod hash_index;
pub(crate) mod jsonl_mirror;
pub(crate) mod key;
pub(crate) mod proof;
pub(crate) mod publisher;
pub(crate) mod rollback;
pub(crate) mod segment_checkpoint;
pub(crate) mod signed;
