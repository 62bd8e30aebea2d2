//! Administration of the service on its own host: the local socket, access tokens.

pub(super) mod access_token;
pub(super) mod freeze;
pub(super) mod local_socket;
