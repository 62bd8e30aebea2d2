//! Logs to test with, a signer in software, a disk that a test may break.

pub mod any_bytes;
pub mod kit;
pub mod loop_disk;
pub mod signer;
