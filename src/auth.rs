//! Who calls and what they may do: logins, signed requests, bearer tokens, scopes, policies, [`Caller`].
//!
//! Pure decisions over values: it looks nothing up and remembers nothing. Not for: storing tokens
//! (`store`), deciding what an operation needs (`operation`), or headers and status codes (`http`).

mod authorization;
mod credentials;
mod installation;
mod network;
mod policy;
mod principal;
mod scope;

pub use authorization::{AccessRequest, AccessTarget, Denied, decide, decide_own};
pub use credentials::audience::{Audience, ParseAudienceError};
pub use credentials::certificate::{CertificateFingerprint, ParseFingerprintError};
pub use credentials::challenge::{CHALLENGE_LIFE, Challenge, ChallengeKey, SCOPE_URN};
pub use credentials::eip4361::{ParseSignInError, SignIn, fuzz_sign_in};
pub use credentials::signature::{EoaSignature, SignatureError, address, personal_digest};
pub use credentials::signed_request::{
    CLOCK_SKEW, Credentials, CredentialsError, LONGEST_LIFE, MAX_PATH_BYTES, RequestToSign, body_hash,
    fuzz_credentials,
};
pub use credentials::token::{AccessToken, AccessTokenHash, AccessTokenId, AccessTokenRecord, Subject};
pub use installation::{InstallationId, ParseInstallationError};
pub use network::{Networks, ParseNetworkError};
pub use policy::{ParseSignatureKindError, Policy, PolicyChange, SignatureKind, SignatureKinds};
pub use principal::{Caller, Forbidden, Unauthenticated, authenticate, authenticate_signed};
pub use scope::{ParseScopeError, Scope, Scopes};
