//! Error codes: each described once, for responses, audit records, OpenAPI and the reference page.

macro_rules! error_codes {
    ($($code:ident = $text:literal: $meaning:literal;)*) => {
        /// What kind of error it is, for programs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = $meaning] $code,)*
        }

        impl ErrorCode {
            /// All of them, in the order of their HTTP status.
            pub const ALL: &[Self] = &[$(Self::$code),*];

            /// The code in responses and audit records.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$code => $text,)*
                }
            }

            /// What it means to the caller, as a phrase for the reference page.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$code => $meaning,)*
                }
            }
        }
    };
}

error_codes! {
    InvalidRequest = "invalid_request": "a member is missing, unknown, repeated or has a wrong type";
    InvalidAddress = "invalid_address": "not an address, or a mixed-case one with a wrong EIP-55 checksum";
    InvalidHex = "invalid_hex": "not hex, or of a wrong length";
    CoordinateOutOfRange = "coordinate_out_of_range": "a coordinate ≥ p";
    PointNotOnCurve = "point_not_on_curve": "the point is not on BN254";
    PointAtInfinity = "point_at_infinity": "the point is the point at infinity";
    RegistryNotFound = "registry_not_found": "a member is `\"0x\"`, an empty contract read: your node has no contract at the address that you read";
    Unauthenticated = "unauthenticated": "no credential, or a wrong, revoked or replayed one";
    TokenExpired = "token_expired": "the access token has expired: log in again";
    ChallengeUnknown = "challenge_unknown": "the challenge is not of this service, or was used";
    ChallengeExpired = "challenge_expired": "the challenge is older than five minutes";
    SignatureMismatch = "signature_mismatch": "the signature is not of the EOA over this message";
    LoginDisabled = "login_disabled": "logins and signed requests are disabled: `auth.allowed_operators` is empty";
    Forbidden = "forbidden": "another EOA's key, a missing scope, a network, or the policy of the key";
    NotFound = "not_found": "no such path";
    KeyNotFound = "key_not_found": "the EOA has no key of this name";
    VersionNotFound = "version_not_found": "the key has no such version";
    MethodNotAllowed = "method_not_allowed": "the path has another method";
    BodyTooLarge = "body_too_large": "more than 64 KiB";
    UnsupportedMediaType = "unsupported_media_type": "the body is not `application/json`";
    KeyDisabled = "key_disabled": "the version is disabled: enable it";
    KeyRetired = "key_retired": "the version is retired";
    KeyDestroyed = "key_destroyed": "the version is destroyed or its destruction is scheduled";
    InvalidKeyState = "invalid_key_state": "the change is not possible in this state; the error says which one is needed";
    QuotaExceeded = "quota_exceeded": "the EOA, the key or the service has all that `limits` allows; the error says which";
    RegistryMismatch = "registry_mismatch": "the contract would check another registration; `field` says which part differs";
    HostNotAllowed = "host_not_allowed": "`Host` names another service than this one; see `server.allowed_hosts`";
    RateLimited = "rate_limited": "a limit of the address, the access token, the EOA or the key";
    KeyUnreadable = "key_unreadable": "the HSM does not open the record of this key; the service tries again at each check of the HSM";
    Internal = "internal": "a defect; the log has the cause under `request_id`, the body never has";
    Overloaded = "overloaded": "the queue is full, or the request waited too long in it";
    HsmUnavailable = "hsm_unavailable": "the HSM cannot be used now; the service reconnects, except after a refused PIN";
    AuditUnavailable = "audit_unavailable": "the audit log cannot be written; a change may have been made: repeat to see";
    RpcUnavailable = "rpc_unavailable": "the chain's node does not respond";
    ServiceFrozen = "service_frozen": "the administrator of this service has frozen it: nothing is signed or made until `avs-kms unfreeze`";
    ShuttingDown = "shutting_down": "the service is stopping";
    HsmFull = "hsm_full": "the HSM has no space for another key; nothing was created";
    DeadlineExceeded = "deadline_exceeded": "the request took longer than `server.request_deadline`; no signature left the service";
}
