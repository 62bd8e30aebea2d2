//! The listeners and their connections: accept, TLS, HTTP/1.1 and HTTP/2, timeouts, shutdown.

mod connection;
mod error_rewrite;
mod limits;
mod listener;
mod proxy_protocol;
mod tls;
mod write_timeout;

pub use limits::Limits;
pub use listener::{Listener, serve};
pub use tls::{ClientAuth, Tls, TlsError, TlsFiles};
