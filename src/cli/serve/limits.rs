//! Limits of the listeners and quotas, from the configuration.

use std::sync::Arc;

use crate::config::{Configuration, ProxyProtocol};
use crate::http::{
    AdmissionSettings, AllowedHosts, App, Limits, NetworkQuota, RateSettings, ReloadableLimits,
    TrustedProxies,
};
use crate::service::{Quotas, Services};

/// Connections of the health listener and of the local socket.
const HEALTH_CONNECTIONS: u32 = 32;

/// The limits that a reload applies.
pub(in crate::cli) fn reloadable(configuration: &Configuration) -> ReloadableLimits {
    let limits = &configuration.limits;
    ReloadableLimits {
        admission: AdmissionSettings {
            max_concurrent: limits.max_concurrent_requests,
            max_queued: limits.max_queued_requests,
            queue_timeout: limits.queue_timeout(configuration.server.request_deadline),
        },
        rates: RateSettings {
            requests_per_address: limits.requests_per_address,
            requests_per_access_token: limits.requests_per_access_token,
            auth_failures_per_address: limits.auth_failures_per_address,
            signature_checks_per_address: limits.signature_checks_per_address,
        },
    }
}

/// The application with the limits and names of the configuration.
pub(in crate::cli) fn app(configuration: &Configuration, services: &Arc<Services>) -> App {
    let (server, public_url) = (&configuration.server, configuration.auth.public_url.as_deref());
    let hosts = AllowedHosts::new(server.listen.ip(), public_url, &server.allowed_hosts);
    App::new(
        Arc::clone(services),
        server.body_timeout,
        reloadable(configuration),
        (hosts, proxies(configuration)),
    )
}

fn proxies(configuration: &Configuration) -> TrustedProxies {
    TrustedProxies::new(configuration.server.trusted_proxies.clone())
}

/// The bounds of the listener for clients.
pub(in crate::cli) fn limits(configuration: &Configuration) -> Limits {
    let server = &configuration.server;
    Limits {
        connections: server.max_connections,
        connections_per_address: NetworkQuota::new(configuration.limits.connections_per_address),
        proxies: proxies(configuration),
        proxy_protocol: server.proxy_protocol == ProxyProtocol::V2,
        header: server.header_timeout,
        write: server.write_timeout,
        grace: server.shutdown_grace,
    }
}

/// The bounds of the health listener and of the local socket.
pub(in crate::cli) fn side_limits(configuration: &Configuration) -> Limits {
    Limits {
        connections: HEALTH_CONNECTIONS,
        connections_per_address: NetworkQuota::new(0),
        proxies: TrustedProxies::default(),
        proxy_protocol: false,
        ..limits(configuration)
    }
}

/// How much EOAs may hold.
pub(super) const fn quotas(configuration: &Configuration) -> Quotas {
    let limits = &configuration.limits;
    Quotas {
        keys_per_eoa: limits.keys_per_eoa,
        versions_per_key: limits.versions_per_key,
        access_tokens_per_eoa: limits.access_tokens_per_eoa,
        schedules_per_eoa: limits.schedules_per_eoa,
        keys: limits.max_keys,
    }
}
