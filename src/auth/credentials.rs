//! Credentials that a caller presents: bearer tokens, login challenges, signed requests, client certificates.
//!
//! Parsing and checking of values alone. Not for: deciding what the caller may do (`auth::authorization`).

pub(super) mod audience;
pub(super) mod certificate;
pub(super) mod challenge;
pub(super) mod eip4361;
pub(super) mod signature;
pub(super) mod signed_request;
pub(super) mod token;
mod typed_data;
