//! Bounds on what clients may use: requests at a time, rates, connections per network.

pub(crate) mod admission;
pub(crate) mod connection_limit;
pub(crate) mod large_bodies;
pub(crate) mod log_budget;
pub(crate) mod rate_limit;
mod take_away;
