//! Key administration: creation, rotation, state transitions, schedules, policies, destruction.

pub(in crate::service) mod create;
pub(in crate::service) mod destroy;
pub(in crate::service) mod new_version;
pub(in crate::service) mod policy;
pub(in crate::service) mod read;
pub(in crate::service) mod rotate;
pub(in crate::service) mod schedule;
pub(in crate::service) mod transition;
