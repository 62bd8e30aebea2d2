//! Commands of an operator's own machine: log in and sign requests with an EOA. They need no data
//! directory and no configuration.

mod http;
mod keystore;
pub(super) mod login;
mod prompt;
pub(super) mod sign_request;
mod wallet;
