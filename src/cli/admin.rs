//! Administration of the service on its own host: the local socket, access tokens.

pub(super) mod access_token;
pub(super) mod freeze;
mod local_request;
pub(super) mod local_socket;
mod pages;
