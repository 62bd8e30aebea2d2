//! Who calls and what they may do: logins, signed requests, bearer tokens, scopes, policies, [`Caller`].
//!
//! Pure decisions over values: it looks nothing up and remembers nothing. Not for: storing tokens
//! (`store`), deciding what an operation needs (`operation`), or headers and status codes (`http`).

mod audience;
mod caller;
mod certificate;
mod challenge;
mod decide;
mod eip4361;
mod network;
mod policy;
mod scope;
mod signature;
mod signed_request;
mod token;
mod typed_data;

pub use audience::{Audience, NoAudience};
pub use caller::{Caller, Forbidden, Unauthenticated, authenticate, authenticate_signed};
pub use certificate::{Fingerprint, FingerprintError};
pub use challenge::{CHALLENGE_LIFE, Challenge, ChallengeKey, SCOPE_URN};
pub use decide::{Ask, Denied, Found, decide, decide_own};
pub use eip4361::{NoSignIn, SignIn, fuzz_sign_in};
pub use network::{Networks, NoNetwork};
pub use policy::{Policy, Signing, SigningKinds, UnknownSigning};
pub use scope::{Scope, Scopes, UnknownScope};
pub use signature::{EoaSignature, SignatureError, address, personal_digest};
pub use signed_request::{
    CLOCK_SKEW, Credentials, CredentialsError, LONGEST_LIFE, MAX_PATH_BYTES, RequestToSign, body_hash,
    fuzz_credentials,
};
pub use token::{BearerToken, Subject, TokenHash, TokenId, TokenRecord};
