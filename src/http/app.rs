//! What every handler gets: the services, the limits, the deadline of the request.

use std::sync::Arc;
use std::time::Duration;

use crate::auth::CertificateFingerprint;
use crate::http::allowed_hosts::AllowedHosts;
use crate::http::limits::admission::{AdmissionControl, AdmissionSettings};
use crate::http::limits::large_bodies::LargeBodies;
use crate::http::limits::rate_limit::{RateLimits, RateSettings};
use crate::http::trusted_proxies::TrustedProxies;
use crate::service::Services;
use crate::service::operation::OperationInfo;

/// The largest body that is read, bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// What every handler gets.
#[derive(Clone, Debug)]
pub struct App {
    pub(crate) services: Arc<Services>,
    pub(crate) body_timeout: Duration,
    pub(crate) large_bodies: LargeBodies,
    pub(crate) admission: Arc<AdmissionControl>,
    pub(crate) rates: Arc<RateLimits>,
    /// The names of the listeners for clients; the local socket has none.
    pub(crate) hosts: Arc<AllowedHosts>,
    /// The proxies that name the clients of the listeners for clients.
    pub(crate) proxies: Arc<TrustedProxies>,
    /// Whether `/readyz` tells workers and queue.
    pub(crate) shows_load: bool,
}

/// The limits that can change while the services runs.
#[derive(Clone, Copy, Debug)]
pub struct ReloadableLimits {
    /// Requests that are served and that wait at the same time.
    pub admission: AdmissionSettings,
    /// Requests per second of an address and of an access token.
    pub rates: RateSettings,
}

impl App {
    /// The application over a services; a request's body must arrive within `body_timeout`.
    pub fn new(
        services: Arc<Services>,
        body_timeout: Duration,
        limits: ReloadableLimits,
        (hosts, proxies): (AllowedHosts, TrustedProxies),
    ) -> Self {
        let ReloadableLimits { admission, rates } = limits;
        Self {
            services,
            body_timeout,
            large_bodies: LargeBodies::new(),
            admission: Arc::new(AdmissionControl::new(admission)),
            rates: Arc::new(RateLimits::new(rates)),
            hosts: Arc::new(hosts),
            proxies: Arc::new(proxies),
            shows_load: false,
        }
    }

    /// Applies other limits from the next request on.
    pub fn set_limits(&self, limits: ReloadableLimits) {
        let ReloadableLimits { admission, rates } = limits;
        self.admission.resize(admission);
        self.rates.set(rates);
    }
}

/// When the response must be sent, as the operations know it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(pub(crate) std::time::Instant);
/// The operation of the route that matched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestedOperation(pub(crate) &'static OperationInfo);

/// A client's certificate, verified.
#[derive(Clone, Copy)]
pub(crate) struct ClientCertificate(pub(crate) CertificateFingerprint);

/// The turn of a connection's lists: the page before must have been sent. A client that reads nothing on the streams
/// of an HTTP/2 connection holds one page.
#[derive(Clone, Debug)]
pub(crate) struct ListTurn(pub(crate) Arc<tokio::sync::Semaphore>);
