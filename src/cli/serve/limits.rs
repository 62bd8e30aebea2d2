//! From the configuration to the limits of the listeners.

use crate::config::Configuration;
use crate::http::{Admission, Limits, RateSettings, Share};

/// Connections at a time of who asks for health alone.
const HEALTH_CONNECTIONS: u32 = 32;

pub(in crate::cli) const fn admission(configuration: &Configuration) -> Admission {
    let limits = &configuration.limits;
    Admission {
        body_timeout: configuration.server.body_timeout,
        in_flight: limits.in_flight,
        wait: limits.wait,
        rates: RateSettings {
            requests_per_address: limits.requests_per_address,
            requests_per_token: limits.requests_per_token,
            failures_per_address: limits.failures_per_address,
            proofs_per_address: limits.proofs_per_address,
        },
    }
}

/// The bounds of the clients' listener.
pub(in crate::cli) fn limits(configuration: &Configuration) -> Limits {
    let server = &configuration.server;
    Limits {
        connections: server.max_connections,
        connections_per_address: Share::new(configuration.limits.connections_per_address),
        header: server.header_timeout,
        write: server.write_timeout,
        grace: server.shutdown_grace,
    }
}

/// The bounds of the other listeners: health's, and the machine's own operator's.
pub(in crate::cli) fn side_limits(configuration: &Configuration) -> Limits {
    Limits {
        connections: HEALTH_CONNECTIONS,
        connections_per_address: Share::new(0),
        ..limits(configuration)
    }
}
