//! Authentication and authorisation: logins, access tokens, signed requests, permissions.

pub(in crate::service) mod access_tokens;
pub(in crate::service) mod authorise;
pub(in crate::service) mod contract_wallet;
pub(in crate::service) mod login;
pub(in crate::service) mod replay_window;
