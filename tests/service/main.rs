//! Whole-program tests: the real binary, a real SoftHSM token of its own for each test, port 0.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failing test should panic"
)]

mod api {
    mod ambiguous_input;
    mod bad_input;
    mod key_policies;
    mod keys;
    mod lists;
    mod openapi;
    mod quotas;
    mod scalar_mul;
    mod schedules;
    mod signing_messages;
    mod typed_client;
}
mod auth {
    mod access;
    mod access_tokens;
    mod anvil;
    mod login;
    mod login_command;
    mod operators;
    pub(crate) mod request_signatures;
}
mod lifecycle {
    mod checkpoint_keys;
    mod destroy_intent;
    mod hanging_module;
    mod init;
    pub(crate) mod key_lifecycle;
    pub(crate) mod kill;
    mod kill_first_start;
    mod kill_restore;
    mod kill_rewrap;
    mod lease;
    mod module_settings;
    mod records_in_store;
    mod refused_pin;
    mod reload;
    mod rewrap;
    mod softhsm_layout;
    mod start_stop;
    mod take_away;
    mod token_changes;
    mod transitions;
}
mod operations {
    mod backup;
    mod checkpoints;
    mod commands;
    mod default_ports;
    mod doctor;
    mod documents;
    mod freeze;
    mod full_disk;
    mod hostile;
    pub(crate) mod metrics;
    mod registry;
    mod restore;
    mod rewritten_log;
    mod telemetry;
    pub(crate) mod webhooks;
}
mod security {
    mod connections;
    mod death_of_a_change;
    mod edited_records;
    mod edited_store;
    pub(crate) mod fault_injection;
    mod files;
    mod flooding;
    mod hsm_failure;
    mod limits;
    mod proxies;
    mod residue;
    mod sandbox;
    mod stalled_hsm;
    mod take_away;
    mod tls;
    mod trust;
}
mod support;
