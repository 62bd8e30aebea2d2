//! What every request passes before its route: id, admission, deadline, and request signatures.

mod reject_delay;
pub(crate) mod request;
pub(crate) mod request_signature;
