//! The verifier: checks a whole log and compares it with checkpoints that were kept of it.

pub(crate) mod command;
pub(crate) mod files;
mod kept;
pub(crate) mod report;
mod targets;
pub(crate) mod verifier;
