//! Kinds that a call is asked for by: whose PIN, which key wrap. Not for their numbers: `secret`.

/// AES key wrap with the default initial value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyWrap {
    /// CKM_AES_KEY_WRAP: RFC 3394.
    Rfc3394,
    /// CKM_AES_KEY_WRAP_KWP: RFC 5649.
    Rfc5649,
}

/// Whose PIN is presented.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    User,
    SecurityOfficer,
}
