//! From the configuration to what faces clients: limits, TLS.

use std::sync::Arc;

use super::Failed;
use crate::config::{ClientAuth, Configuration};
use crate::http::{self, Admission, Limits, RateSettings, Share, Tls, TlsFiles};

/// Connections at a time of who asks for health alone.
const HEALTH_CONNECTIONS: u32 = 32;

pub(super) const fn admission(configuration: &Configuration) -> Admission {
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
pub(super) fn limits(configuration: &Configuration) -> Limits {
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
pub(super) fn side_limits(configuration: &Configuration) -> Limits {
    Limits {
        connections: HEALTH_CONNECTIONS,
        connections_per_address: Share::new(0),
        ..limits(configuration)
    }
}

/// The TLS of the configuration, if it has one.
pub(super) fn tls(configuration: &Configuration) -> Result<Option<Arc<Tls>>, Failed> {
    let Some(tls) = &configuration.tls else { return Ok(None) };
    let client = tls.client.clone().map(|(ca, auth)| {
        let auth = match auth {
            ClientAuth::Required => http::ClientAuth::Required,
            ClientAuth::Optional => http::ClientAuth::Optional,
        };
        (ca, auth)
    });
    let files = TlsFiles { certificate: tls.certificate.clone(), key: tls.key.clone(), client };
    let tls = Tls::load(files).map_err(|error| Failed::while_trying("cannot serve TLS", &error))?;
    Ok(Some(Arc::new(tls)))
}
