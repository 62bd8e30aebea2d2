//! Who calls and what they may do: bearer tokens, scopes, [`Caller`].
//!
//! Pure decisions over values: it looks nothing up and remembers nothing. Not for: storing tokens
//! (`store`), deciding what an operation needs (`operation`), or headers and status codes (`http`).

mod caller;
mod certificate;
mod scope;
mod token;

pub use caller::{Caller, Forbidden, Unauthenticated, authenticate};
pub use certificate::{Fingerprint, FingerprintError};
pub use scope::{Scope, Scopes, UnknownScope};
pub use token::{BearerToken, Subject, TokenHash, TokenId, TokenRecord};
