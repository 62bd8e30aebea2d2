//! Tests of the inside of the crate: a simulated disk, chosen schedules, the bytes of records and
//! checkpoints.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test should panic"
)]

mod checkpoint_tests;
mod interleavings;
mod record_tests;
mod rsa_pss_tests;
pub(crate) mod schedule_sync;
mod simulation;
pub(crate) mod soft_signer;
mod world;
