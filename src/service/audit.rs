//! What the audit log shows: events, checkpoints, proofs, recorded maintenance.

pub(in crate::service) mod checkpoint_publisher;
pub(in crate::service) mod checkpoint_webhook;
pub(in crate::service) mod events;
pub(in crate::service) mod maintenance;
pub(in crate::service) mod proofs;
