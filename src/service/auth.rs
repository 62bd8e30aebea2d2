//! Authentication and authorisation: logins, access tokens, signed requests, permissions.

pub(super) mod access_tokens;
pub(super) mod authorise;
#[cfg(test)]
mod clock_tests;
mod contract_wallet;
pub(super) mod login;
pub(super) mod login_rules;
mod replay_window;
pub(super) mod signed_requests;
