//! What every request passes before its route: id, admission, deadline, and request signatures.

pub(crate) mod request;
pub(crate) mod request_signature;
