//! The audit log for clients and administrators: reads, publication of checkpoints, records of maintenance, the budget of refusals.

pub(super) mod checkpoint_publisher;
pub(super) mod maintenance;
pub(super) mod reads;
pub(super) mod refusals;
