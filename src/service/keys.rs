//! Key administration: creation, rotation, transitions, destruction, schedules, policies, reads.

pub(super) mod admin;
pub(super) mod change_lock;
pub(super) mod create;
pub(super) mod destroy;
pub(super) mod destruction;
pub(in crate::service) mod freeze;
pub(super) mod new_version;
pub(super) mod policy;
pub(super) mod read;
pub(super) mod rotate;
pub(super) mod schedule;
pub(super) mod take_away;
pub(super) mod transition;
