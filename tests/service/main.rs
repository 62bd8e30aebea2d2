//! Whole-program tests: the real binary, a real SoftHSM token of its own for each test, port 0.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test should panic"
)]

mod access;
mod anvil;
mod backup;
mod bad_input;
mod chain;
mod checkpoints;
mod client;
mod commands;
mod connections;
mod figures;
mod hooks;
mod keys;
mod life;
mod lifecycle;
mod limits;
mod login;
mod login_command;
mod messages;
mod policies;
mod readme;
mod reload;
mod residue;
mod sandbox;
mod schedules;
mod set_up;
mod shim;
mod signed;
mod signing;
mod stalled;
mod support;
mod surface;
mod tls;
mod token_changes;
mod tokens;
mod tricks;
mod trouble;
mod typed_client;
mod wallet;
