//! Limits of a listener and of each of its connections.

use std::time::Duration;

use crate::http::limits::connection_limit::NetworkQuota;
use crate::http::trusted_proxies::TrustedProxies;

/// Limits of a listener.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at a time.
    pub connections: u32,
    /// Connections of one client network at a time.
    pub connections_per_address: NetworkQuota,
    /// Proxies that name their clients: connections count for those.
    pub proxies: TrustedProxies,
    /// Whether these proxies begin each connection with a PROXY header.
    pub proxy_protocol: bool,
    /// A TLS handshake and a request's header must be complete within this time. An idle connection ends after it.
    pub header: Duration,
    /// A client that reads nothing of its response for this time is disconnected.
    pub write: Duration,
    /// How long a shutdown waits for requests under way.
    pub grace: Duration,
}
