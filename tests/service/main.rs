//! Whole-program tests: the real binary, a real SoftHSM token of its own for each test, port 0.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test should panic"
)]

mod access;
mod bad_input;
mod checkpoints;
mod client;
mod commands;
mod hooks;
mod keys;
mod life;
mod lifecycle;
mod messages;
mod readme;
mod schedules;
mod set_up;
mod signing;
mod support;
