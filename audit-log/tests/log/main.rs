//! The audit log from outside: what callers, readers, auditors and the owner of the disk see.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a failing test should panic; a child of the tests talks to its parent by printing"
)]

mod checkpoints;
mod compress;
mod crash;
mod disk;
mod failure;
mod fuzz;
mod golden;
mod kill;
mod open_record_close;
mod read;
mod support;
mod tamper;
